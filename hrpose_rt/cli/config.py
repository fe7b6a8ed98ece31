"""`hrpose-rt config`: write a file with all options of `run`, and show which values a run would take."""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hrpose_rt.cli import options
from hrpose_rt.cli.app import App, Command
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.cli.report import is_secret, panel_of
from hrpose_rt.cli.values import ELSEWHERE, about, key_of
from hrpose_rt.paths import make_folder

HEAD = """\
# Options of hrpose-rt run. Remove the # before those that you set, then: hrpose-rt run --config FILE

[run]"""
app = App(no_args_is_help=True, help="Write and show files of options.")


@app.callback()
def several() -> None:
    """Write and show files of options."""


@app.command("init")
def init(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Write every option of `run` with its help and its default, for --config."""
    command, _ = _run_command()
    text = "\n".join((HEAD, *_template(command.parameters), ""))
    if output is None:
        print(text, end="")
        return
    check_free(output, overwrite)
    make_folder(output.parent)
    output.write_text(text, encoding="utf-8")


# It hands all its options on, --config too, so it is no command of `App`.
@typer.Typer.command(app, "show", context_settings={"ignore_unknown_options": True})
def show(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTIONS OF RUN]", help="What you would give to run.")
    ] = None,
) -> None:
    """Print the options that `run` would take, as a file for --config, and where each comes from."""
    command, parent = _run_command()
    for param in command.params:
        param.required = False
    with command.make_context("run", list(arguments or ()), parent=parent) as context:
        print("[run]")
        for line in _in_force(command, context):
            print(line)


def _run_command() -> tuple[Command, typer.Context]:
    """The command `run` with the context that it is called in."""
    from typer.main import get_group

    from hrpose_rt.cli.main import build_app

    group = get_group(build_app(["run"]))
    command = group.commands["run"]
    assert isinstance(command, Command)
    return command, typer.Context(group, info_name="hrpose-rt")


def _template(parameters: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    panel = ""
    for name, parameter in parameters.items():
        if name in ELSEWHERE:
            continue
        if panel_of(parameter) != panel:
            panel = panel_of(parameter)
            yield f"\n# {panel}".rstrip(" #") if panel else ""
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        yield f"\n# {getattr(about(parameter), 'help', '')}"
        yield "#" + _line(parameter, default)


def _in_force(command: Command, context: Any) -> Iterator[str]:
    for name, parameter in command.parameters.items():
        if name in ELSEWHERE:
            continue
        value, origin = context.params.get(name), context.get_parameter_source(name).name
        origin = {"COMMANDLINE": "command line", "DEFAULT": "default"}.get(origin) or command.origins[name]
        hidden = name == "token" or is_secret(value)
        if value in (None, []) or hidden:
            yield f"#{_line(parameter, None)} # {origin}{', not shown' if value and hidden else ''}"
        else:
            yield f"{_line(parameter, value)}  # {origin}"


def _line(parameter: inspect.Parameter, value: Any) -> str:
    """An option in TOML, whose text, numbers and lists are those of JSON."""
    text = "" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    return f"{key_of(parameter).replace('_', '-')} = {text}".rstrip()
