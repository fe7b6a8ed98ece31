"""`hrpose-rt export`: engines in any format and precision, each compared with fp32."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Column, Table

from hrpose_rt.cli import options
from hrpose_rt.cli.models import find, task_of
from hrpose_rt.config import DECODINGS
from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import PRECISIONS_OF_FORMAT, ExportedEngine, ExportRequest
from hrpose_rt.export.tensorrt import TrtOptions
from hrpose_rt.export.triton import BACKENDS, RepositoryModel, add_to_repository, find_backend
from hrpose_rt.nets.onnx_source import NetworkHints
from hrpose_rt.nets.spec import Task, engine_files
from hrpose_rt.nets.zoo import Model, spec_of_checkpoint

MIB = 2**20
TRITON, DEFAULT_BACKEND = "triton", "onnxruntime"
DEFAULTS = TrtOptions()


def export_model(
    model: Annotated[str, typer.Argument(help="A model's name or a checkpoint.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help=", ".join(PRECISIONS_OF_FORMAT) + "; or several with commas. triton: a model repository.",
        ),
    ] = "onnx",
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, bf16 or int8; or several with commas.")
    ] = "fp32",
    max_batch: Annotated[
        int,
        typer.Option(
            help="TensorRT, Triton: set the largest batch. Default: 64, detectors 16; openvino 8 and 1."
        ),
    ] = DEFAULTS.max_batch,
    backend: Annotated[
        str, typer.Option(help=f"Triton: what runs the engine: {', '.join(BACKENDS)}.")
    ] = DEFAULT_BACKEND,
    input_hw: Annotated[
        str | None, typer.Option(help="Set HEIGHTxWIDTH. Default: the model's own.")
    ] = None,
    decode: options.Decode = "auto",
    preset: options.Preset = "auto",
    output: Annotated[Path | None, typer.Option(help="Write to this folder.")] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Calibrate int8 and compare on this video or folder of people like yours."),
    ] = None,
    gpu_arch: Annotated[
        str,
        typer.Option(
            help="TensorRT for RTX: build for sm75, sm80, sm86, sm89, sm120, sm121. Default: all but sm75."
        ),
    ] = "",
    hardware_compat: Annotated[
        str, typer.Option(help="TensorRT: also run on other GPUs: none, same-cc or ampere-plus.")
    ] = DEFAULTS.hardware_compat,
    version_compat: Annotated[
        bool, typer.Option("--version-compat", help="TensorRT: also run with later versions.")
    ] = False,
    workspace: Annotated[
        int, typer.Option(help="TensorRT: limit the MiB of a layer.")
    ] = DEFAULTS.workspace_mib,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not compare with fp32.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep an engine that is too far from fp32.")] = False,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Build engines and compare each with the fp32 network on real people."""
    served = form == TRITON
    trt = TrtOptions(
        archs=tuple(name.strip() for name in gpu_arch.split(",") if name.strip()),
        max_batch=max_batch,
        workspace_mib=workspace,
        hardware_compat=hardware_compat,
        version_compat=version_compat,
        any_batch=served,
    )
    crop_hw = options.parse_hw(input_hw)
    requests = [
        ExportRequest(
            format=one_form,
            precision=one_precision,
            input_hw=crop_hw,
            trt=trt,
            folder=None if served else output,
            calibration=calibration,
            verify=not no_verify,
            keep=keep,
            rebuild=overwrite and not served,
            free_hw=served and one_form != "tensorrt" and crop_hw is None,
        )
        for one_form in _formats(form, backend, output)
        for one_precision in precision.split(",")
    ]
    console = Console(stderr=True)
    task = task_of(model)
    source = _with_spec(find(model, task), task, NetworkHints("auto", crop_hw, decode, preset), console)
    made: list[ExportedEngine] = []
    models: list[RepositoryModel] = []
    try:
        for request in requests:
            begin = f"{model}, {request.format} {request.precision}"
            with console.status(begin) as status:

                def show(step: str, begin: str = begin, status: Status = status) -> None:
                    status.update(f"{begin}: {step}")

                made.append(export(source, task, request, show))
                if served and output:
                    models.append(add_to_repository(made[-1], output, backend, max_batch, overwrite))
    finally:
        if made:
            print(f"in {made[0].path.parent}:")
            Console().print(_table(made))
        for one in models:
            print(f"{one.folder}: version {one.version}{'' if one.added else ' was there'}")


def _formats(form: str, backend: str, output: Path | None) -> list[str]:
    """The formats of engines in `--format`; the backend's for a model repository."""
    if form == TRITON:
        if output is None:
            raise BadInput("--format triton needs the folder of the model repository: add --output")
        return [find_backend(backend).format]
    if TRITON in form.split(","):
        raise BadInput(f"--format {form}: triton stands alone, export the others by another call")
    return form.split(",")


def _with_spec(model: Model, task: Task, hints: NetworkHints, console: Console) -> Model:
    """The model with a spec; that of a checkpoint follows from the hints."""
    if hints.decode not in ("auto", *DECODINGS):
        raise BadInput(f"there is no --decode {hints.decode}: choose {', '.join(DECODINGS)}")
    if model.spec is None and (task == "pose" or model.is_onnx):
        spec = spec_of_checkpoint(model, task, hints, lambda text: console.print(text, soft_wrap=True))
        return replace(model, spec=spec)
    if hints.decode != "auto":
        raise BadInput(f"how {model.name} is read is known: leave out --decode, which runs take")
    return model


def _table(made: list[ExportedEngine]) -> Table:
    table = Table(Column("engine", overflow="fold"), "MiB", "layers", "built in", "against fp32", box=None)
    for exported in made:
        spec = exported.spec
        size = sum(file.stat().st_size for file in engine_files(exported.path)) / MIB
        layers = ", ".join(f"{count} {name}" for name, count in spec.layers.items())
        seconds = f"{spec.build.seconds:.1f} s" if exported.built and spec.build else "was there"
        table.add_row(exported.path.name, f"{size:.1f}", layers, seconds, in_words(spec.parity))
    return table


def in_words(parity: dict[str, Any]) -> str:
    """Describe the comparison in a spec."""
    status = parity.get("status", "not compared")
    if "matched" in parity:
        return f"{status}: {parity['matched']:.1%} of boxes, scores {parity['score_difference']:.3f} off"
    if "p95_px" in parity:
        moved = f"{parity['moved']:.1%} of joints moved"
        return f"{status}: median {parity['median_px']:.2f} px, p95 {parity['p95_px']:.2f} px, {moved}"
    return str(status)
