"""Open a model with a runtime. All models are opened here."""

from dataclasses import replace
from importlib.util import find_spec

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.hardware import usable_cores
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.hrnet_config import heatmap_size
from hrpose_rt.nets.onnx_source import NetworkHints
from hrpose_rt.nets.spec import EngineSpec, Task
from hrpose_rt.nets.zoo import EMBEDDED, Model, spec_of_checkpoint
from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.runtimes.selection import RuntimeChoice, check_precision, select_runtime
from hrpose_rt.runtimes.trt_compat import check_ready

RUNTIMES_OF = {
    "onnx": ("openvino", "onnxruntime"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt",),
}


def open_engine(
    model: Model,
    task: Task,
    runtime: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int = 0,
) -> tuple[Runtime, EngineSpec]:
    """Open a model with a suitable runtime, or with the given one.

    Args:
        model: From `zoo.find_model`.
        task: "detection" or "pose".
        runtime, precision, device: See `selection.select_runtime`.
        threads: Cores to use; 0 uses all cores of this process.

    Raises:
        BadInput: Runtime, precision and device do not work together, or the model has no file for them.
        RuntimeMissing: The runtime's library is not installed, or does not see the device.
    """
    choice = select_runtime(
        model.engine is not None, runtime, precision, device, model.checkpoint is not None
    )
    return open_selected(model, task, choice, threads)


def open_selected(
    model: Model, task: Task, choice: RuntimeChoice, threads: int = 0, skeleton: str = "auto"
) -> tuple[Runtime, EngineSpec]:
    """Open a model with a selected runtime.

    Args:
        model, task, threads: See `open_engine`.
        choice: Runtime, precision and device.
        skeleton: Name or file of a skeleton that replaces a pose network's own; "auto" keeps it.

    Raises:
        BadInput, RuntimeMissing: See `open_engine`.
    """
    threads = threads or usable_cores()
    if choice.runtime == "torch":
        if model.is_onnx:
            raise BadInput(
                f"{model.name} is an ONNX file, which `runtime` torch cannot execute: use openvino"
            )
        if model.checkpoint is None:
            raise model.no_checkpoint()
        opened, spec = _open_eager(model, task, choice, threads, skeleton)
    else:
        opened, spec = _open_engine(model, choice, threads)
    return opened, spec if skeleton == "auto" else replace(spec, skeleton=skeleton)


def _open_engine(model: Model, choice: RuntimeChoice, threads: int) -> tuple[Runtime, EngineSpec]:
    if model.engine is None or model.spec is None:
        raise BadInput(f"{model.name} is a checkpoint, which only `runtime` torch executes as it is")
    precision = model.spec.precision if choice.precision == "auto" else choice.precision
    # OpenVINO can round an fp32 graph to 16 bits. In all other cases the graph sets the precision.
    rounds = (
        choice.runtime == "openvino" and model.spec.precision == "fp32" and precision in ("bf16", "fp16")
    )
    fitting = model if rounds else model.in_precision(precision)
    if fitting is None or fitting.engine is None or fitting.spec is None:
        raise BadInput(
            f"{model.engine} is {model.spec.precision} and not {precision}: use `precision` "
            f"{model.spec.precision}, or export another"
        )
    engine, spec = fitting.engine, fitting.spec
    spec.check_hash(engine)
    if choice.runtime not in RUNTIMES_OF[spec.format]:
        raise BadInput(
            f"{engine} is an engine for {spec.format}: use `runtime` "
            f"{' or '.join(RUNTIMES_OF[spec.format])}"
        )
    auto = choice.precision == "auto" and choice.runtime == "openvino" and spec.precision == "fp32"
    if not auto:
        check_precision(choice, precision)
    if choice.runtime == "tensorrt":
        check_ready(spec.format, choice.device)
        from hrpose_rt.runtimes.trt import TrtRuntime

        return TrtRuntime(engine, spec, choice.device), spec
    if choice.runtime == "onnxruntime":
        from hrpose_rt.runtimes.ort import OnnxRuntime

        return OnnxRuntime(engine, threads, choice.device, spec.precision), spec
    from hrpose_rt.runtimes.ov import OpenVinoRuntime

    chosen = "auto" if auto else precision
    return OpenVinoRuntime(engine, chosen, threads, choice.device, spec.sha256), spec


def _open_eager(
    model: Model, task: Task, choice: RuntimeChoice, threads: int, skeleton: str
) -> tuple[Runtime, EngineSpec]:
    if find_spec("torch") is None:
        raise RuntimeMissing(f"{model.name} needs PyTorch here: {install_hint('train')}")
    if task == "detection":
        from hrpose_rt.nets.yolo import load_yolo

        # Without `fixed`, every call makes the anchors on the host, which a CUDA graph cannot do.
        module = load_yolo(model.weights(), model.classic_head, fixed=choice.kind == "cuda")
        spec = spec_of_checkpoint(model, task, NetworkHints(skeleton))
    else:
        net, _ = load_hrnet(model.weights())
        from hrpose_rt.nets.preprocessing import hrnet_on_crops

        module = hrnet_on_crops(net)
        spec = spec_of_checkpoint(model, task, NetworkHints(skeleton))
    if choice.kind == "cuda":
        from hrpose_rt.runtimes.torch_graphs import GraphRuntime

        return GraphRuntime(module, choice.precision, threads, choice.device), spec
    from hrpose_rt.runtimes.torch_eager import EagerRuntime

    return EagerRuntime(module, choice.precision, threads, choice.device), spec


def with_size(model: Model, input_hw: tuple[int, int] | None) -> Model:
    """Change a pose model with a known spec to another crop size.

    Raises:
        BadInput: The model is only an engine, which has one size.
    """
    assert model.spec is not None
    if input_hw is None or input_hw == model.spec.input_hw:
        return model
    h, w = input_hw
    if model.checkpoint is None and model.name in EMBEDDED:
        raise model.no_checkpoint()
    if model.checkpoint is None or model.is_onnx:
        own_h, own_w = model.spec.input_hw
        raise BadInput(
            f"{model.name} is an engine for {own_h}x{own_w} and no other `input_hw`: export one for {h}x{w}"
        )
    spec = replace(model.spec, inputs_hw=((h, w),), heatmap_hw=heatmap_size((h, w)))
    return replace(model, engine=None, spec=spec)
