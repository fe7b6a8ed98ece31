"""Open a model on a runtime that suits it, and build its engine first if there is none."""

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

from hrpose_rt.config import Settings
from hrpose_rt.console import say
from hrpose_rt.hardware import cpu_features
from hrpose_rt.nets.onnx_source import NetworkHints
from hrpose_rt.nets.spec import EngineSpec, Task
from hrpose_rt.nets.zoo import EMBEDDED, Model, find_model, spec_of_checkpoint
from hrpose_rt.run_info import Outages
from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.runtimes.open import open_selected, with_size
from hrpose_rt.runtimes.selection import (
    PRECISIONS_OF,
    RuntimeChoice,
    gpu_number,
    select_runtime,
    tensorrt_format,
)
from hrpose_rt.runtimes.triton import open_served
from hrpose_rt.runtimes.trt_compat import check_ready

MAX_AP_LOSS = 0.01  # largest loss at which `auto` chooses int8
ProgressCallback = Callable[[str], None]


def open_by_name(
    name: str,
    task: Task,
    settings: Settings,
    progress: ProgressCallback = say,
    outages: Outages | None = None,
) -> tuple[Runtime, EngineSpec, str]:
    """Open a model by its name, its path, or its name on a Triton server; see `open_model`."""
    if settings.runtime != "triton":
        return open_model(find_model(name, task), task, settings, progress)
    runtime, spec = open_served(name, task, settings, progress, outages)
    return runtime, spec, f"served by {settings.url}"


def open_model(
    model: Model, task: Task, settings: Settings, progress: ProgressCallback = say
) -> tuple[Runtime, EngineSpec, str]:
    """Open a model with a suitable runtime, and build a missing engine first; also returns the reason."""
    skeleton = settings.skeleton if task == "pose" else "auto"
    if task == "pose":
        hints = NetworkHints(skeleton, settings.input_hw, settings.decode, settings.preset)
        model = replace(model, spec=spec_of_checkpoint(model, task, hints, progress))
        model = with_size(model, settings.input_hw)
    elif model.is_onnx:
        model = replace(model, spec=spec_of_checkpoint(model, task, progress=progress))
    can_export = model.is_onnx or (model.checkpoint is not None and find_spec("onnx") is not None)
    choice = select_runtime(
        has_engine=model.engine is not None or can_export,
        runtime=settings.runtime,
        precision=settings.precision,
        device=settings.device,
        has_checkpoint=model.checkpoint is not None and not model.is_onnx,
    )
    if task == "detection" and choice.precision == "int8" and not _has_int8(model, choice.runtime):
        choice = replace(choice, precision="auto")  # no detector is quantised only to be opened
    if (
        choice.precision == "auto"
        and choice.runtime == "openvino"
        and prefer_int8(model, task, choice.device)
    ):
        choice = replace(
            choice, precision="int8", reason=f"{choice.reason}; int8 costs its accuracy little"
        )
    model = ensure_engine(model, task, choice, skeleton, progress)
    runtime, spec = open_selected(model, task, choice, settings.threads, skeleton)
    return runtime, spec, choice.reason


def ensure_engine(
    model: Model,
    task: Task,
    choice: RuntimeChoice,
    skeleton: str = "auto",
    progress: ProgressCallback = say,
) -> Model:
    """Return the model with an engine for the chosen runtime; a missing engine is built."""
    if choice.runtime == "torch" or (model.checkpoint is None and model.name not in EMBEDDED):
        return model  # opening it raises an error if a file is missing
    format, precision = "onnx", "fp32"  # OpenVINO rounds an fp32 graph to 16 bits when asked to
    if choice.runtime == "tensorrt":
        format = tensorrt_format(gpu_number(choice.device))
        check_ready(format, choice.device)
        precision = PRECISIONS_OF["tensorrt", "cuda"][0] if choice.precision == "auto" else choice.precision
    elif choice.precision == "int8" or (choice.runtime, choice.precision) == ("onnxruntime", "fp16"):
        precision = choice.precision
    if format == "onnx" and model.in_precision(precision):
        return model
    from hrpose_rt.export.engines import export
    from hrpose_rt.export.request import ExportRequest

    begin = time.perf_counter()
    if model.spec is None:
        model = replace(model, spec=spec_of_checkpoint(model, task, NetworkHints(skeleton)))
    request = ExportRequest(format, precision, free_hw=format == "onnx", device=choice.device)
    exported = export(model, task, request, lambda step: progress(f"{model.name}, once only: {step}"))
    if exported.built:
        status = exported.spec.parity["status"]
        how = "" if status == "verified" else f", {status}"
        progress(
            f"{exported.path.name} built in {time.perf_counter() - begin:.0f} s, kept in "
            f"{exported.path.parent}{how}"
        )
    return replace(model, engine=exported.path, spec=exported.spec)


def _has_int8(detector: Model, runtime: str) -> bool:
    """Whether there is an int8 engine of a detector. TensorRT builds its own, and 16 bits serve it well."""
    return runtime != "tensorrt" and detector.in_precision("int8") is not None


def prefer_int8(model: Model, task: Task, device: str) -> bool:
    """Whether `auto` chooses int8: the model has it, it loses little AP, and it is fast on this CPU.

    On a CPU with AMX, the detector takes as long in bf16 and loses nothing. On a GPU it keeps fp16.
    """
    if task == "detection" and (device != "cpu" or "amx_bf16" in cpu_features()):
        return False
    fitting = model.in_precision("int8")
    if fitting is None or fitting.spec is None:
        return False
    loss = fitting.spec.parity.get("ap_loss")
    quick = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"} & set(cpu_features())
    return loss is not None and loss <= MAX_AP_LOSS and bool(quick)
