"""`hrpose-rt models`: which networks there are, what is known of them, and how to get them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from hrpose_rt.cli import options
from hrpose_rt.cli.app import App
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.nets import onnx_source
from hrpose_rt.nets.onnx_source import PRESETS
from hrpose_rt.nets.published import ALIASES, PUBLISHED
from hrpose_rt.nets.published_onnx import PUBLISHED_ONNX
from hrpose_rt.nets.spec import Task, spec_path
from hrpose_rt.nets.zoo import EMBEDDED, ULTRALYTICS, Model, find_model, spec_of_checkpoint
from hrpose_rt.paths import fetched_folder
from hrpose_rt.skeleton import find_skeleton

app = App(no_args_is_help=True, help="List, describe and fetch networks.")
HEADS = ("model", "for", "input", "joints", "decode", "score", "here")
Name = Annotated[str, typer.Argument(help="A model's name, or a file.")]


@app.command("list")
def list_models(debug: options.Debug = False) -> None:
    """List the models that have a name."""
    # The figures alone may wrap: on 80 columns, nothing is cut off.
    table = Table(*(Column(head, no_wrap=head != "score") for head in HEADS), box=None, pad_edge=False)
    for name, task in EMBEDDED.items():
        spec = find_model(name, task).spec
        assert spec is not None
        h, w = spec.input_hw
        decode = spec.decode if task == "pose" else ""
        joints = _joints(spec.skeleton) if task == "pose" else ""
        table.add_row(name, task, f"{h}x{w}", joints, decode, "card", "embedded")
    for name, model in PUBLISHED.items():
        h, w = model.input_hw
        row = (name, "pose", f"{h}x{w}", _joints(model.skeleton), model.decode, model.figure)
        table.add_row(*row, "yes" if model.is_here else "pull")
    for name, network in PUBLISHED_ONNX.items():
        h, w = network.input_hw
        decode = PRESETS[network.preset][0]
        row = (name, "pose", f"{h}x{w}", _joints(network.skeleton), decode, network.figure)
        table.add_row(*row, "yes" if network.is_here else "pull")
    table.add_row("yolo26n, ...", "detection", "640x640", "", "", "", "pull")
    Console().print(table)
    plain = ", ".join(f"{alias} is {name}" for alias, name in ALIASES.items())
    print(f"\n{plain}. Fetched models are kept in {fetched_folder()}. The score is the published one.")


def _joints(skeleton: str) -> str:
    return str(len(find_skeleton(skeleton).joints))


@app.command()
def info(name: Name, debug: options.Debug = False) -> None:
    """What is known of a model that is here, and of one that is not."""
    published = PUBLISHED.get(ALIASES.get(name, name))
    if (network := PUBLISHED_ONNX.get(name)) and not network.is_here:
        print(f"not here yet: hrpose-rt models pull {name} fetches {network.urls[0]}")
        print(f"skeleton: {network.skeleton}\nsha256: {network.sha256}")
        print(f"inputs: {network.input_hw[0]}x{network.input_hw[1]}")
        return
    if published and not published.is_here:
        spec = published.spec(f"{published.sha256_prefix}...")
        print(f"not here yet: hrpose-rt models pull {name} fetches {published.url}")
    else:
        model = find(name)
        print(f"files: {', '.join(str(path) for path in (model.engine, model.checkpoint) if path)}")
        if model.is_onnx:
            model = replace(model, spec=spec_of_checkpoint(model, task_of(name)))
        if model.spec is None:
            raise BadInput(
                f"nothing says what {name} holds: a file trained or exported here has a .json beside it"
            )
        spec = model.spec
    for field in ("model", "task", "skeleton", "decode", "precision", "weights_sha256"):
        if value := getattr(spec, field):
            print(f"{field}: {value}")
    print(f"inputs: {', '.join(f'{h}x{w}' for h, w in spec.inputs_hw)}")


@app.command()
def pull(name: Name, debug: options.Debug = False) -> None:
    """Fetch a model, unless it is here."""
    model = find(name)
    print(f"{name} is here: {model.checkpoint or model.engine}")


def fetch_models(settings: Settings) -> None:
    """Fetch what a run needs before it begins, with a bar for what is not here yet."""
    if settings.runtime == "triton":  # the networks are on the server
        return
    detector = "" if settings.boxes else settings.detector
    for name, task in ((settings.pose, "pose"), (detector, "detection")):
        if ALIASES.get(name, name) in {*PUBLISHED, *PUBLISHED_ONNX} or ULTRALYTICS.match(name):
            find(name, "pose" if task == "pose" else "detection")


def find(name: str, task: Task | None = None) -> Model:
    """The model of that name, with a bar while it is fetched."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(name, total=None, visible=False)

        def progress(done: int, total: int) -> None:
            bar.update(row, completed=done, total=total or None, visible=True)

        return find_model(name, task or task_of(name), progress)


def task_of(name: str) -> Task:
    """What a model is for, told by its name: .pt files are Ultralytics'."""
    path = Path(name)
    if path.suffix == ".onnx" and path.is_file() and not spec_path(path).is_file():
        return onnx_source.task_of(path)
    is_detector = ULTRALYTICS.match(name) or name.endswith(".pt") or EMBEDDED.get(name) == "detection"
    return "detection" if is_detector else "pose"
