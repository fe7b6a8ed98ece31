"""Decode and check JSON and TOML from outside, in one place."""

import dataclasses
import gzip
import json
import re
import tomllib
import zlib
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from hrpose_rt.errors import MAX_NUMBER, BadInput

T = TypeVar("T")
_SHORT = Repr()  # how a wrong value stands in a message
_SHORT.maxstring = _SHORT.maxother = 80
# Ranges of numeric settings; a setting declares its type and range where it is defined.
Score = Annotated[float, Meta(ge=0, le=1)]
NonNegativeFloat = Annotated[float, Meta(ge=0, le=MAX_NUMBER)]
PositiveFloat = Annotated[float, Meta(gt=0, le=MAX_NUMBER)]
NonNegativeInt = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
PositiveInt = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]


def decode(data: bytes, shape: type[T], toml: bool = False) -> T:
    """The content of a JSON or TOML file as a value of `shape`.

    Args:
        data: Content of the file, UTF-8 with or without a byte order mark.
        shape: A type that msgspec supports. For a dataclass, unknown fields are errors.
        toml: Whether it is TOML.

    Raises:
        ValueError: It cannot be decoded or has another shape; the message names the place.
    """
    text = data.decode("utf-8-sig")
    try:
        return convert(tomllib.loads(text) if toml else msgspec.json.decode(text), shape)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def convert(value: Any, shape: type[T]) -> T:
    """Convert decoded content to `shape`; raise ValueError with the place if it has another shape."""
    if dataclasses.is_dataclass(shape) and isinstance(value, dict):
        known = {field.name for field in dataclasses.fields(shape)}
        if strange := sorted(set(value) - known):
            raise ValueError(f"{strange[0]} means nothing here")
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error))) from error


def check_fields(settings: Any) -> None:
    """Raise BadInput unless every field of a dataclass has its type and is in range.

    NumPy numbers count as numbers, and whole numbers as floats; nothing else is converted.
    """
    shape: type = type(settings)
    for name, expected in _types(shape).items():
        value = getattr(settings, name)
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            converted = convert(plain, expected)
        except ValueError as error:
            words = re.sub(r"\barray\b", "tuple", str(error).replace("null", "None"))
            raise BadInput(f"`{name}` is {_SHORT.repr(value)}: {words}") from error
        object.__setattr__(settings, name, converted)  # the dataclass may be frozen


@lru_cache
def _types(shape: type) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


def _in_words(message: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.schema`" as "schema: expected int, got str"."""
    what, at, json_path = message.replace("`", "").partition(" - at ")
    what = what[:1].lower() + what[1:]
    return f"{json_path.removeprefix('$').removeprefix('.')}: {what}" if at and json_path != "$" else what


def read_json(path: Path) -> Any:
    """The content of a .json or .json.gz file, UTF-8 in any locale, with or without a byte order mark.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not JSON.
    """
    data = path.read_bytes()
    try:
        return json.loads((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is cut off or no gzip: {error}") from error
