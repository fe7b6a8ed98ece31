"""The report of a run: what it cost, and the options with which it can be done again."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrpose_rt.cli.values import ELSEWHERE, about, checked, key_of
from hrpose_rt.errors import BadInput, RunBroken

SCHEMA = 1
OUTPUT_PANEL = "Output"
# Options that neither choose an output nor change a result.
NOT_KEPT = (*ELSEWHERE, "show", "overwrite", "quiet", "debug")


def used_options(values: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The options of a run that decide its results, by their names in files.

    Outputs are left out, and all that is secret with them. So are addresses with a password or a query.

    Args:
        values: Of the parameters, by name.
        parameters: Those of the command's function, by name.
    """
    used = {}
    for name, parameter in parameters.items():
        value = values.get(name)
        is_output = panel_of(parameter) == OUTPUT_PANEL and parameter.default is None
        if name not in NOT_KEPT and not is_output and not is_secret(value):
            used[key_of(parameter)] = str(value) if isinstance(value, Path) else value
    return used


def panel_of(parameter: inspect.Parameter) -> str:
    """The panel of `--help` that a parameter is in; "" without one."""
    return str(getattr(about(parameter), "rich_help_panel", None) or "")


def read_options(path: Path, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The options in a report, by the names of parameters.

    Raises:
        BadInput: The file is no report with options; the message says why.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        options = content["options"]
        given = {key: value for key, value in options.items() if value is not None}
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is no report with options: give what run --report wrote") from error
    return checked(str(path), "run", given, parameters)


def write_report(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a report as JSON, after the version and the schema.

    Raises:
        RunBroken: It cannot be written.
    """
    from importlib.metadata import version  # a quarter of the start of `hrpose-rt --version`

    from hrpose_rt.paths import make_folder, write_json

    make_folder(path.parent)
    try:
        write_json(path, {"hrpose": version("hrpose-rt"), "schema": SCHEMA, **facts}, indent=2)
    except OSError as error:
        raise RunBroken(f"writing {path} failed ({error.strerror}): choose another place") from error


def is_secret(value: Any) -> bool:
    """Whether a value, or one in a list, holds a password or values of a query."""
    from hrpose_rt.sources.addresses import is_url, redacted

    texts = value if isinstance(value, list) else [value]
    return any(isinstance(text, str) and is_url(text) and redacted(text) != text for text in texts)
