"""Values of options from a TOML file, under those of the command line and of the environment."""

import inspect
import os
import types
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from hrpose_rt.errors import BadInput

Config = Annotated[
    Path | None,
    typer.Option(
        help="Read options from this TOML file, such as det_score = 0.4; those in a table named run are "
        "for run alone. HRPOSE_DET_SCORE=0.4 in the environment counts more, the command line most."
    ),
]
PREFIX = "HRPOSE_"
TAKEN = ("HRPOSE_HOME", "HRPOSE_DATA")  # these variables name the cache folder and the folder of data sets
ELSEWHERE = ("config", "from_report")  # the options that name a file of options do not stand in one
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def option_of(parameter: inspect.Parameter) -> str:
    """The name of a parameter on the command line."""
    told = about(parameter)
    if isinstance(told, ArgumentInfo):
        return parameter.name.upper()
    if isinstance(told, OptionInfo):  # in Annotated, typer stores the first name as the default
        for name in (told.default, *(told.param_decls or ())):
            if isinstance(name, str):
                return name.partition("/")[0]
    return "--" + parameter.name.replace("_", "-")


def key_of(parameter: inspect.Parameter) -> str:
    """The name of a parameter in files: `csv_long` of --csv-long, `source` of SOURCE."""
    return option_of(parameter).lstrip("-").replace("-", "_").lower()


def variable_of(parameter: inspect.Parameter) -> str | None:
    """The environment variable of a parameter; None if that variable means something else."""
    name = PREFIX + key_of(parameter).upper()
    return None if name in TAKEN else name


def read_config(
    path: Path, words: Mapping[str, Collection[str]], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """The values that a TOML file has for a command, by the names of its parameters.

    Values outside of tables are for whichever command reads the file. Those in its table count more.

    Args:
        path: The file.
        words: The words of the command, such as "eval" and "coco" for the table [eval.coco]. Each has all
            the words that there are in its place; their tables are for other commands.
        parameters: Those of the command's function, by name.

    Raises:
        BadInput: The file cannot be read, or a key or a type is wrong; the message names it.
    """
    values: dict[str, Any] = {}
    table, command = _read(path), " ".join(words)
    for word, siblings in words.items():
        for name in set(siblings) & set(table):
            if not isinstance(table[name], dict):
                raise BadInput(f"{path}: {name} is a command: write its options below a line with [{name}]")
        values |= checked(
            str(path), command, {k: v for k, v in table.items() if k not in siblings}, parameters
        )
        table = table.get(word, {})
    return values | checked(str(path), command, table, parameters)


def checked(
    place: str, command: str, table: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """The values of a table by the names of parameters, converted to their types.

    Args:
        place: The file, for messages.
        command: The words of the command, for messages.
        table: Values by the long names of options without dashes; inside, - and _ are the same.
        parameters: Those of the command's function, by name.

    Raises:
        BadInput: A key is unknown or occurs twice, or a value has the wrong type.
    """
    by_key = {key_of(one): one for name, one in parameters.items() if name not in ELSEWHERE}
    values: dict[str, Any] = {}
    for written, value in table.items():
        key = written.replace("-", "_")
        if key not in by_key:
            raise BadInput(f"{place}: {command} has no {written}: {_advice(key, command, by_key)}")
        parameter = by_key[key]
        if parameter.name in values:
            raise BadInput(f"{place} has {key} twice, with - and with _: leave one out")
        values[parameter.name] = _typed(f"{place}: {written}", value, parameter)
    return values


def about(parameter: inspect.Parameter) -> Any:
    """What typer is told about a parameter; None if nothing."""
    kinds = (ArgumentInfo, OptionInfo)
    return next((one for one in get_args(parameter.annotation) if isinstance(one, kinds)), None)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no TOML ({error}): hrpose-rt config init writes an example") from error


def _advice(key: str, command: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, known, n=1)
    return f"use {near[0]}" if near else f"hrpose-rt {command} --help lists what it has"


def _typed(name: str, value: Any, parameter: inspect.Parameter) -> Any:
    """The value as the parameter's type."""
    kind = parameter.annotation
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    several = get_origin(kind) is list
    kind = get_args(kind)[0] if several else kind
    if getattr(about(parameter), "parser", None) and isinstance(value, str):
        return value  # the parser of the command line checks it
    items = value if several and isinstance(value, list) else [value]
    if wrong := [item for item in items if not _fits(item, kind)]:
        what = f"a list of {KINDS[kind]}" if several else KINDS[kind]
        raise BadInput(f"{name} is {what}, not {wrong[0]!r}: correct it")
    if kind is Path and "" in items:
        raise BadInput(f"{name} is empty: leave it out, or give it something")
    items = [str(item) if kind in (str, Path) else kind(item) for item in items]
    return items if several else items[0]


def _fits(value: Any, kind: type) -> bool:
    """Whether a value of TOML or JSON may stand for the type. Text may be a number, such as a port."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int)
    return isinstance(value, int | float) or (kind in (str, Path) and isinstance(value, str))


def is_set(variable: str | None) -> bool:
    """Whether an environment variable has a value; an empty one counts as none."""
    return bool(variable and os.environ.get(variable))
