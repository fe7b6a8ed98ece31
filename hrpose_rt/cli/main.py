"""`hrpose-rt`: one sub-command a file, and one sentence for whatever goes wrong."""

import os
import re
import sys
from importlib.metadata import version

import typer

from hrpose_rt import console
from hrpose_rt.cli.app import App
from hrpose_rt.cli.exit import INTERRUPTED, fail, name_options
from hrpose_rt.errors import BadInput, HrposeError, RunBroken

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
# What the base install has not, and the extra `train` brings.
TRAIN = (
    *("torch", "torchvision", "onnx", "onnxscript", "nncf", "safetensors"),
    *("ultralytics", "pycocotools", "matplotlib", "tensorboard"),
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"hrpose-rt {version('hrpose-rt')}")
        raise typer.Exit


def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Real-time top-down pose: people, ids and skeletons, and what every frame cost."""


def build_app() -> App:
    """The command line with all its sub-commands; importing those is what may fail."""
    from hrpose_rt.cli.bench import app as bench
    from hrpose_rt.cli.doctor import doctor
    from hrpose_rt.cli.eval_coco import eval_coco
    from hrpose_rt.cli.eval_detector import eval_detector
    from hrpose_rt.cli.eval_mpii import eval_mpii
    from hrpose_rt.cli.export import export_model
    from hrpose_rt.cli.models import app as models
    from hrpose_rt.cli.run import run
    from hrpose_rt.cli.train import train

    app = App(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(options)
    app.command()(run)
    app.command()(train)
    app.command()(doctor)
    app.command("export")(export_model)
    scores = App(no_args_is_help=True, help="Score networks, or files of predictions.")
    scores.command("coco")(eval_coco)
    scores.command("mpii")(eval_mpii)
    scores.command("detector")(eval_detector)
    app.add_typer(scores, name="eval")
    app.add_typer(models, name="models")
    app.add_typer(bench, name="bench")
    return app


def main() -> None:
    """Run the command line; HrposeErrors become one sentence on stderr and an exit status."""
    console.own_process, console.wording = True, name_options
    try:
        build_app()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # who read our output has had enough; the interpreter must not flush it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(RunBroken.exit_code)
    except HrposeError as error:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(error))
    except OSError as error:  # of a path that no check foresaw, such as a name that is too long
        if "--debug" in sys.argv or error.filename is None:
            raise
        sys.exit(fail(BadInput(f"{error.filename} cannot be used ({error.strerror}): check the path")))
    except MemoryError:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(RunBroken("memory ran out: close other programs, or take smaller pictures")))
    except ImportError as error:
        hint = missing_library(str(error)) or missing_package(error.name)
        if "--debug" in sys.argv or not hint:
            raise
        print(f"hrpose-rt: {hint}", file=sys.stderr)
        sys.exit(HrposeError.exit_code)


def missing_package(module: str | None) -> str | None:
    """What to install where a package is missing that only some commands need; None if it is another."""
    name = (module or "").partition(".")[0]
    return f"this needs {name}: pip install 'hrpose-rt[train]'" if name in TRAIN else None


def missing_library(message: str) -> str | None:
    """What to install where an import failed for want of a system library; None if it was not that."""
    match = re.search(r"(lib[\w+.-]+\.so[.\d]*): cannot open shared object", message)
    if not match:
        return None
    name = match.group(1)
    package = _SYSTEM_LIBRARIES.get(name)
    todo = f"apt-get install {package}" if package else f"install the package that holds {name}"
    return f"the system library {name} is missing: {todo}"
