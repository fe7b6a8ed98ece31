"""A command line whose options also come from files and the environment, and which checks them all."""

import inspect
import math
import re
from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from hrpose_rt import console
from hrpose_rt.cli.exit import name_options
from hrpose_rt.cli.report import read_options, used_options
from hrpose_rt.cli.values import Config, is_set, option_of, read_config, variable_of
from hrpose_rt.errors import MAX_NUMBER, BadInput


class App(typer.Typer):
    """A typer app that checks the arguments of its commands before they run."""

    def command(self, name: str | None = None, **how: Any) -> Callable[[Callable[..., Any]], Any]:
        """Register a function as a command, as typer does; it gets the option --config."""
        register = super().command(name, **{"cls": Command, **how})

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_checked(function))
            return function

        return add


class Command(TyperCommand):
    """A command whose options may come from the environment and from a TOML file.

    Attributes:
        origins: By parameter, where its value comes from, if not from the command line or a default.
    """

    origins: dict[str, str]

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The arguments and options of the function, by name."""
        assert self.callback
        parameters = inspect.signature(self.callback).parameters
        return {name: one for name, one in parameters.items() if one.annotation is not typer.Context}

    @staticmethod
    def used(context: typer.Context) -> dict[str, Any]:
        """The options of a command that is running, as its report has them."""
        assert isinstance(context.command, Command)
        return used_options(context.params, context.command.parameters)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, then what they leave open from the environment and from files."""
        self.origins = {}
        for param in self.params:
            if isinstance(param, TyperArgument | TyperOption) and param.name in self.parameters:
                param.envvar = variable_of(self.parameters[param.name])
                param.show_envvar = is_set(param.envvar)  # in the help and in messages
        if not ctx.resilient_parsing:  # which is when a shell completes a line
            given = self.make_parser(ctx).parse_args(args=list(args))[0]
            for name, parameter in self.parameters.items():
                if given.get(name) == "" != parameter.default:  # a path would become the current folder
                    _check(option_of(parameter), "")
            ctx.default_map = self._from_files(ctx, given)
        for param in self.params:
            if isinstance(param.envvar, str) and is_set(param.envvar):
                self.origins[str(param.name)] = param.envvar
        return super().parse_args(ctx, args)

    def _from_files(self, ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        """What --from-report, --mode and --config set, in this order, by parameter."""
        values: dict[str, Any] = {}
        from_config: dict[str, Any] = {}
        if report := self._early("from_report", ctx, given):
            options = read_options(Path(report), self.parameters)
            if "source" not in options and not self._early("source", ctx, given):
                raise BadInput(
                    f"{report} has no sources, because an address had a password or a query: name them"
                )
            values |= self._layer(str(report), options)
        if config := self._early("config", ctx, given):
            from_config = read_config(Path(config), _words(ctx), self.parameters)
        mode = self._early("mode", ctx, given) or from_config.get("mode")
        if mode:
            values |= self._layer(f"mode {mode}", self._of_mode(mode))
        return values | self._layer(str(config), from_config)

    def _of_mode(self, mode: str) -> dict[str, Any]:
        from hrpose_rt.cli.options import options_of_mode

        return {name: value for name, value in options_of_mode(mode).items() if name in self.parameters}

    def _layer(self, origin: str, values: dict[str, Any]) -> dict[str, Any]:
        self.origins |= dict.fromkeys(values, origin)
        return values

    def _early(self, name: str, ctx: Any, given: dict[str, Any]) -> Any:
        """An option that others depend on, of the command line or of the environment; None without it."""
        param = next((one for one in self.params if one.name == name), None)
        return given.get(name) or (param.value_from_envvar(ctx) if param else None)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. If a value is refused, the message says where it comes from."""
        console.debug = bool(ctx.params.get("debug"))
        try:
            return super().invoke(ctx)
        except BadInput as error:
            message, origins = name_options(str(error)), []
            for name, origin in self.origins.items():
                option = option_of(self.parameters[name])
                if ctx.get_parameter_source(name).name != "COMMANDLINE" and re.search(
                    rf"{option}\b", message
                ):
                    origins.append(f"{option} is from {origin}")
            if not origins:
                raise
            raise BadInput(f"{error} ({', '.join(origins)})") from error


def _words(ctx: Any) -> dict[str, list[str]]:
    """The words of the command, each with all the words that there are in its place."""
    words: dict[str, list[str]] = {}
    while ctx.parent is not None:
        words = {str(ctx.info_name): list(ctx.parent.command.commands)} | words
        ctx = ctx.parent
    return words


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    config = inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Config)
    parameters = {**signature.parameters, "config": config}

    @wraps(function)
    def call(**given: Any) -> Any:
        for name, value in given.items():
            if value != parameters[name].default:
                _check(option_of(parameters[name]), value)
        given.pop("config", None)  # it has been read
        return function(**given)

    call.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    call.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return call


def _check(option: str, value: Any) -> None:
    """Raise BadInput if `value` is valid for no option. Its range is checked where it is used."""
    if value == "":
        raise BadInput(f"{option} is empty: leave it out, or give it something")
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_NUMBER):
        raise BadInput(f"{option} is a number up to {MAX_NUMBER:,.0f}, not {value}")
