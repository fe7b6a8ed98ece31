"""What comes from outside has a shape: JSON and TOML decoded and checked in one place."""

import dataclasses
import tomllib
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decode(data: bytes, shape: type[T], toml: bool = False) -> T:
    """The content of a JSON or TOML file as a value of `shape`.

    Args:
        data: What the file holds: UTF-8, with a byte order mark or not.
        shape: A type of fields as msgspec takes it. A dataclass has no other fields than its own.
        toml: Whether it is TOML.

    Raises:
        ValueError: It is neither, or of another shape; the message names the place.
    """
    text = data.decode("utf-8-sig")
    try:
        return convert(tomllib.loads(text) if toml else msgspec.json.decode(text), shape)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def convert(value: Any, shape: type[T]) -> T:
    """What was decoded already, as a value of `shape`; ValueError names the place where it is none."""
    if dataclasses.is_dataclass(shape) and isinstance(value, dict):
        known = {field.name for field in dataclasses.fields(shape)}
        if strange := sorted(set(value) - known):
            raise ValueError(f"{strange[0]} means nothing here")
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error))) from error


def _in_words(message: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.schema`" as "schema: expected int, got str"."""
    what, at, place = message.replace("`", "").partition(" - at ")
    what = what[:1].lower() + what[1:]
    return f"{place.removeprefix('$').removeprefix('.')}: {what}" if at and place != "$" else what
