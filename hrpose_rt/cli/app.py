"""A command line that refuses empty options, and numbers that are not finite or far too large."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, get_args

import typer
from typer.models import ArgumentInfo, OptionInfo

from hrpose_rt.errors import MAX_NUMBER, BadInput


class App(typer.Typer):
    """A typer app that checks the arguments of its commands before they run."""

    def command(self, name: str | None = None, **how: Any) -> Callable[[Callable[..., Any]], Any]:
        """Register a function as a command, as typer does."""
        register = super().command(name, **how)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_checked(function))
            return function

        return add


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters

    @wraps(function)
    def call(**given: Any) -> Any:
        for name, value in given.items():
            if value != parameters[name].default:
                _check(option_of(parameters[name]), value)
        return function(**given)

    return call


def option_of(parameter: inspect.Parameter) -> str:
    """The name of a parameter on the command line."""
    for about in get_args(parameter.annotation):
        if isinstance(about, ArgumentInfo):
            return parameter.name.upper()
        if isinstance(about, OptionInfo):  # in Annotated, typer stores the first name as the default
            for name in (about.default, *(about.param_decls or ())):
                if isinstance(name, str):
                    return name.partition("/")[0]
    return "--" + parameter.name.replace("_", "-")


def _check(option: str, value: Any) -> None:
    """Raise BadInput if `value` is valid for no option. Its range is checked where it is used."""
    if value == "":
        raise BadInput(f"{option} is empty: leave it out, or give it something")
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_NUMBER):
        raise BadInput(f"{option} is a number up to {MAX_NUMBER:,.0f}, not {value}")
