"""Changes to recipes: `--set key=value`, and recipe files in TOML."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.training.augment import Augmentation
from hrpose_rt.training.recipes import CHOICES, Recipe

_AUGMENTATION_KEYS = tuple(field.name for field in fields(Augmentation))
OVERRIDE_KEYS = (
    *(f.name for f in fields(Recipe) if f.name not in ("name", "augmentation")),
    *_AUGMENTATION_KEYS,
)


def parse_overrides(texts: Sequence[str]) -> dict[str, str]:
    """Read texts "key=value"; if a key occurs twice, the last one counts."""
    overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise BadInput(f"`set` {text} changes nothing: write KEY=VALUE, such as lr_steps=90,110")
        overrides[key.strip()] = value.strip()
    return overrides


def read_recipe(file: Path) -> tuple[str, dict[str, Any]]:
    """Read a TOML recipe: the name of its `base`, and its changes in the flat form of `--set`."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}): check the path") from error
    except ValueError as error:
        raise BadInput(f"{file} is no recipe in TOML ({error}): docs/training.md has an example") from error
    base = content.pop("base", "original")
    return str(base), content


def with_overrides(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with other values; each is a value of its field's type or text.

    Raises:
        BadInput: There is no such key, or its value is invalid; the message names it.
    """
    changes: dict[str, Any] = {}
    augmentation_changes: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in OVERRIDE_KEYS:
            raise BadInput(f"a recipe has no {key!r} to set: choose {', '.join(OVERRIDE_KEYS)}")
        if key in _AUGMENTATION_KEYS:
            augmentation_changes[key] = _typed(key, value, getattr(recipe.augmentation, key))
        else:
            changes[key] = _typed(key, value, getattr(recipe, key))
    augmentation = replace(recipe.augmentation, **augmentation_changes)
    new = replace(recipe, augmentation=augmentation, **changes)
    _check(new)
    return new


def _typed(key: str, value: Any, current: Any) -> Any:
    """The value converted to the field's current type."""
    kind = type(current)
    expected = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        tuple: "numbers, such as 90,110",
    }
    try:
        if kind is str:
            if value not in CHOICES[key]:
                raise ValueError(value)
            return value
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(value, bool):
            raise ValueError(value)
        if kind is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(float(part) for part in parts if part != "")
        if kind is int and float(value) != int(float(value)):
            raise ValueError(value)
        return kind(float(value))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        choices = " or ".join(CHOICES[key]) if kind is str else expected[kind]
        raise BadInput(f"{key} is {choices}, not {value}: correct it") from error


def _check(recipe: Recipe) -> None:
    """Raise BadInput if a number is out of range."""
    shares = ("warm_up", "ema", "momentum", "flip", "half_body", "close_up", "cut", "cutout", "scale")
    above_0 = ("lr", "batch", "epochs", "lr_factor")
    values = asdict(recipe) | asdict(recipe.augmentation)
    for key in OVERRIDE_KEYS:
        numbers = values[key] if isinstance(values[key], tuple) else (values[key],)
        for number in numbers:
            if not isinstance(number, int | float):
                continue
            if not 0 <= number < 1e9:
                raise BadInput(f"{key} is {number:g}: give a finite number from 0 on")
            if key in shares and number > 1:
                raise BadInput(f"{key} is {number:g}: give a share of 0 to 1")
            if key in above_0 and not number:
                raise BadInput(f"{key} is 0: give a number above 0")
