"""Model -> runtime: the one place where a name becomes something that computes."""

from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.machine import usable_cores
from hrpose_rt.nets.weights import load_hrnet, sha256
from hrpose_rt.nets.zoo import Model
from hrpose_rt.runtimes import Runtime
from hrpose_rt.runtimes.spec import EngineSpec, Task

PRECISIONS_OF = {"openvino": ("fp32", "bf16"), "onnxruntime": ("fp32",), "torch": ("fp32", "bf16")}
RUNTIMES = tuple(PRECISIONS_OF)
PRECISIONS = ("auto", *dict.fromkeys(p for precisions in PRECISIONS_OF.values() for p in precisions))

# Input sizes that the published weights were trained with, which their files do not say.
_POSE_INPUTS = {17: ((256, 192), "coco17"), 16: ((256, 256), "mpii16")}
_DETECTOR_INPUTS = ((640, 640), (384, 640), (640, 384), (480, 640), (640, 480))


def open_engine(
    model: Model, task: Task, runtime: str = "auto", precision: str = "auto", threads: int = 0
) -> tuple[Runtime, EngineSpec]:
    """Open a model.

    Args:
        model: As `zoo.find_model` gives it.
        task: What it is for.
        runtime: "openvino", "onnxruntime", "torch", or "auto": OpenVINO where there is an
            engine, else PyTorch.
        precision: "fp32", "bf16", or "auto": bf16 where the CPU has it.
        threads: Cores to use; 0 for all this process may use.

    Raises:
        BadInput: Runtime or precision have no such name, or the model has no file for the runtime.
        RuntimeMissing: The runtime's library is not installed.
    """
    if precision not in PRECISIONS:
        raise BadInput(f"there is no precision {precision!r}: choose {', '.join(PRECISIONS)}")
    threads = threads or usable_cores()
    if runtime == "auto":
        runtime = "openvino" if model.engine else "torch"
    if runtime not in PRECISIONS_OF:
        raise BadInput(f"there is no runtime {runtime!r}: choose auto, {', '.join(RUNTIMES)}")
    if precision not in ("auto", *PRECISIONS_OF[runtime]):
        others = [name for name, precisions in PRECISIONS_OF.items() if precision in precisions]
        raise BadInput(
            f"{runtime} computes in {' or '.join(PRECISIONS_OF[runtime])}, not in {precision}: use "
            f"--precision {PRECISIONS_OF[runtime][0]}, or --runtime {' or '.join(others)}"
        )
    if runtime in ("openvino", "onnxruntime"):
        if model.engine is None or model.spec is None:
            raise BadInput(f"{model.name} is a checkpoint, which only --runtime torch executes")
        return _open_onnx(model.engine, runtime, precision, threads), model.spec
    if model.checkpoint is None:
        raise BadInput(f"{model.name} is an engine, which --runtime torch cannot execute: use openvino")
    return _open_eager(model, model.checkpoint, task, precision, threads)


def _open_onnx(engine: Path, runtime: str, precision: str, threads: int) -> Runtime:
    if runtime == "onnxruntime":
        if engine.suffix != ".onnx":
            raise BadInput(f"{engine} is OpenVINO's own form: use --runtime openvino, or an .onnx file")
        from hrpose_rt.runtimes.ort import OnnxRuntime

        return OnnxRuntime(engine, threads)
    from hrpose_rt.runtimes.ov import OpenVinoRuntime

    return OpenVinoRuntime(engine, precision, threads)


def _open_eager(
    model: Model, checkpoint: Path, task: Task, precision: str, threads: int
) -> tuple[Runtime, EngineSpec]:
    if task == "detection":
        from hrpose_rt.nets.yolo import load_yolo

        module = load_yolo(checkpoint)
        spec = model.spec or EngineSpec(model.name, task, _DETECTOR_INPUTS, "fp32", sha256(checkpoint))
    else:
        net, config = load_hrnet(checkpoint)
        from hrpose_rt.nets.inputs import hrnet_on_crops

        module = hrnet_on_crops(net)
        spec = model.spec or _pose_spec(model.name, checkpoint, config.joints)
    from hrpose_rt.runtimes.eager import EagerRuntime

    return EagerRuntime(module, precision, threads), spec


def _pose_spec(name: str, checkpoint: Path, joints: int) -> EngineSpec:
    if joints not in _POSE_INPUTS:
        known = " or ".join(str(k) for k in _POSE_INPUTS)
        raise BadInput(f"{checkpoint} has {joints} joints: only {known} are known")
    (h, w), skeleton = _POSE_INPUTS[joints]
    return EngineSpec(
        model=name,
        task="pose",
        inputs_hw=((h, w),),
        precision="fp32",
        weights_sha256=sha256(checkpoint),
        skeleton=skeleton,
        heatmap_hw=(h // 4, w // 4),
    )
