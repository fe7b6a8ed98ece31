"""`hrpose-rt`: one sub-command a file, and one sentence for whatever goes wrong."""

import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import typer

import hrpose_rt
from hrpose_rt import console
from hrpose_rt.cli.app import App
from hrpose_rt.cli.exit import discard, fail, name_options, signals_as_exceptions, status_after
from hrpose_rt.errors import BadInput, HrposeError, RunBroken, install_hint

# Debian's names for the shared libraries that OpenCV's and OpenVINO's wheels expect of the system.
_SYSTEM_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libstdc++.so.6": "libstdc++6",
}
# Extras by the packages that they install and the base install lacks.
EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "onnxscript", "nncf", "safetensors", "ultralytics"), "train"),
    **dict.fromkeys(("pycocotools", "matplotlib", "scipy", "tensorboard"), "train"),
    **dict.fromkeys(("onnx", "onnxruntime"), "onnx"),
    **dict.fromkeys(("supervision", "trackers"), "tracking"),
}


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Command(NamedTuple):
    """A sub-command: its module, the function or app in it, and what the list of commands says."""

    module: str
    attribute: str
    help: str
    examples: tuple[str, ...] = ()


RUN_EXAMPLES = (
    "hrpose-rt run video.mp4 --save annotated.mp4 --json poses.jsonl",
    "hrpose-rt run photos --save annotated",
    "hrpose-rt run 0 --show",
    "hrpose-rt run rtsp://camera/1 --serve 8000",
    "hrpose-rt run video.mp4 --budget-ms 33 --save crowd.mp4",
)
BATCH_EXAMPLES = (
    "hrpose-rt batch season --output poses --outputs json,csv",
    "hrpose-rt batch clips.csv --output poses --workers 4 --retry-failed",
    "hrpose-rt batch match.mp4 --output poses --outputs json,video --split 60",
)
TRAIN_EXAMPLES = (
    "hrpose-rt train --data people.json:photos --output runs/one --init hrnet-w16-lite",
    "hrpose-rt train --data people.json:photos --output runs/one --init hrnet-w16-lite --resume",
    "hrpose-rt train --data people.json --output runs/sgd --recipe original --set optimizer=sgd",
)
EXPORT_EXAMPLES = (
    "hrpose-rt export hrnet-w32 --format onnx,openvino --precision fp32,int8",
    "hrpose-rt export hrnet-w32 --precision int8 --calibration my-footage.mp4",
    "hrpose-rt export rtmpose-m.onnx --preset rtmpose --format openvino",
)
MOTION_EXAMPLES = (
    "hrpose-rt motion poses.jsonl --output movement --plot",
    "hrpose-rt motion poses.jsonl --output movement --ids 0 --scale height=1.80 --c3d",
    "hrpose-rt motion poses.jsonl --output movement --filter median --window 7 --fill 0.2",
)
# Importing a sub-command loads what it needs, so only the one that was asked for is imported.
COMMANDS = {
    "run": Command(
        "run", "run", "Estimate the poses of all people in videos, images and cameras.", RUN_EXAMPLES
    ),
    "batch": Command(
        "batch", "batch", "Run many videos with several workers, and go on after a stop.", BATCH_EXAMPLES
    ),
    "motion": Command(
        "motion", "motion", "Angles, speeds and metres of people from a finished run.", MOTION_EXAMPLES
    ),
    "train": Command("train", "train", "Train a pose network.", TRAIN_EXAMPLES),
    "doctor": Command("doctor", "doctor", "Check this machine, and say how to fix what is broken."),
    "export": Command(
        "export",
        "export_model",
        "Build engines, and compare each with the fp32 network.",
        EXPORT_EXAMPLES,
    ),
    "eval": Command("evaluate", "app", "Score networks, or files of predictions."),
    "models": Command("models", "app", "List, describe and fetch networks."),
    "config": Command("config", "app", "Write and show files of options."),
    "bench": Command("bench", "app", "Measure what networks cost on this machine."),
}

# Options of `run` by the names that Ultralytics' command line has for them.
OTHER_NAMES = {
    "--model": "--pose",
    "--weights": "--pose",
    "--conf": "--det-score",
    "--imgsz": "--input-hw for the crops; the detector's size follows the frame",
    "--half": "--precision fp16",
    "--vid-stride": "--stride",
    "--source": "the source itself, without an option",
    "--output": "--save for video and images, --json for poses",
    "--project": "--save",
    "--name": "--save",
    "--save-txt": "--json or --csv",
    "--max-det": "--max-people",
    "--iou": "no such threshold: it is fixed at 0.6",
    "--stream": "no option: videos are read frame by frame",
    "--track": "no option: people of videos have ids",
}
OTHER_COMMANDS = ("predict", "track", "pose", "detect", "infer", "demo")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"hrpose-rt {hrpose_rt.__version__}")
        raise typer.Exit


def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Real-time top-down pose: people, ids and skeletons, and what every frame cost."""


def _check_names(arguments: Sequence[str]) -> None:
    """Raise BadInput if `run` is given an option by the name that another program has for it."""
    if arguments and arguments[0] in OTHER_COMMANDS:
        raise BadInput(f"there is no {arguments[0]}: use hrpose-rt run video.mp4 --save annotated.mp4")
    for argument in arguments if arguments[:1] == ["run"] else ():
        option, _, value = argument.partition("=")
        if name := OTHER_NAMES.get(option.replace("_", "-")):
            raise BadInput(f"run has no {option}: use {name}")
        if option in ("--save", "--json", "--csv") and value in ("True", "true", "False", "false"):
            raise BadInput(f"{argument}: name the file, such as --save annotated.mp4 --csv poses.csv")
        if value and option.isidentifier() and not Path(argument).exists():
            raise BadInput(f"{argument} is no source: options are --{option} VALUE, a source has no name")


def _not_loaded() -> None:
    raise RuntimeError("this sub-command was not imported")


def build_app(commands: Sequence[str] = tuple(COMMANDS)) -> App:
    """The command line.

    Args:
        commands: Sub-commands to import, so that they can run; the others are listed only.
    """
    # Without one to run, all there is to print is a list, which does not need Rich.
    app = App(
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if commands else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name, command in COMMANDS.items():
        examples = "\n\n".join(("Examples:", *command.examples)) if command.examples else None
        add = app.command(name, short_help=command.help, epilog=examples)
        if name not in commands:
            add(_not_loaded)
            continue
        found = getattr(import_module(f"hrpose_rt.cli.{command.module}"), command.attribute)
        if isinstance(found, App):
            app.add_typer(found, name=name, short_help=command.help)
        else:
            add(found)
    return app


def _asked_for(arguments: Sequence[str]) -> list[str]:
    """The sub-command among the arguments, or of the line that a shell completes: the first non-option."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = line.split()[1:] or arguments
    return [name for name in words if not name.startswith("-")][:1]


def main() -> None:
    """Run the command line; HrposeErrors become one sentence on stderr and an exit status."""
    console.own_process, console.wording = True, name_options
    try:
        with signals_as_exceptions():
            _check_names(sys.argv[1:])
            build_app(_asked_for(sys.argv[1:]))()
    except KeyboardInterrupt as error:
        sys.exit(status_after(error))
    except BrokenPipeError:  # who read our output has had enough; the interpreter must not flush it again
        discard(sys.stdout.fileno())
        sys.exit(RunBroken.exit_code)
    except HrposeError as error:
        if _debugging():
            raise
        sys.exit(fail(error))
    except OSError as error:  # of a path that no check foresaw, such as a name that is too long
        full = error.errno in DISK_FULL  # a write that fails names no path
        if _debugging() or not (full or error.filename):
            raise
        if full:
            sys.exit(fail(RunBroken("the disk is full: make room, and run the command again")))
        sys.exit(fail(BadInput(f"{error.filename} cannot be used ({error.strerror}): check the path")))
    except MemoryError:
        if _debugging():
            raise
        sys.exit(fail(RunBroken("memory ran out: close other programs, or take smaller pictures")))
    except ImportError as error:
        hint = missing_library(str(error)) or missing_package(error.name)
        if _debugging() or not hint:
            raise
        print(f"hrpose-rt: {hint}", file=sys.stderr)
        sys.exit(HrposeError.exit_code)


def _debugging() -> bool:
    """Whether --debug is given: on the command line, or once that is read, in a file or the environment."""
    return console.debug or "--debug" in sys.argv


def missing_package(module: str | None) -> str | None:
    """What to install where a package is missing that only some commands need; None if it is another."""
    name = (module or "").partition(".")[0]
    return f"this needs {name}: {install_hint(EXTRAS[name])}" if name in EXTRAS else None


def missing_library(message: str) -> str | None:
    """What to install where an import failed for want of a system library; None if it was not that."""
    match = re.search(r"(lib[\w+.-]+\.so[.\d]*): cannot open shared object", message)
    if not match:
        return None
    name = match.group(1)
    package = _SYSTEM_LIBRARIES.get(name)
    todo = f"apt-get install {package}" if package else f"install the package that holds {name}"
    return f"the system library {name} is missing: {todo}"
