"""No option of any command takes a number that is none, or nothing at all."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
import typer

from hrpose_rt.cli.main import build_app
from hrpose_rt.cli.values import option_of
from hrpose_rt.errors import BadInput


def commands(app: typer.Typer) -> Iterator[Callable[..., Any]]:
    """What every command runs."""
    for command in app.registered_commands:
        assert command.callback
        yield command.callback
    for group in app.registered_groups:
        assert group.typer_instance
        yield from commands(group.typer_instance)


def options(*kinds: type) -> list[Any]:
    """Every command with each of its parameters that may be of one of `kinds`."""
    found = []
    for command in commands(build_app()):
        for parameter in inspect.signature(command).parameters.values():
            wanted = get_args(parameter.annotation)[:1] or (parameter.annotation,)
            if set(kinds) & {*wanted, *get_args(wanted[0])}:
                found.append(pytest.param(command, parameter, id=f"{command.__name__}-{parameter.name}"))
    return found


@pytest.mark.parametrize(("command", "parameter"), options(int, float))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**63, 1e308])
def test_numeric_options_reject_nan_inf_and_huge_values(command, parameter, value) -> None:
    with pytest.raises(BadInput) as error:
        command(**{parameter.name: value})
    assert str(error.value) == f"{option_of(parameter)} is a number up to 1,000,000,000, not {value}"


@pytest.mark.parametrize(("command", "parameter"), options(str))
def test_text_options_reject_empty_string(command, parameter) -> None:
    if parameter.default == "":
        pytest.skip("it is empty by default")
    with pytest.raises(BadInput) as error:
        command(**{parameter.name: ""})
    assert str(error.value) == f"{option_of(parameter)} is empty: leave it out, or give it something"


def test_option_names_match_cli_spelling() -> None:
    assert len(options(int, float)) > 40
    assert len(options(str)) > 40
    called = {option_of(param.values[1]) for param in options(int, float, str)}
    assert {"--json", "--csv-long", "--input-hw", "--max-people", "--stride", "--precision"} <= called
