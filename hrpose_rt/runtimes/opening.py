"""Model -> runtime: the one place where a name becomes something that computes."""

from dataclasses import replace
from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.machine import usable_cores
from hrpose_rt.nets.weights import load_hrnet, sha256
from hrpose_rt.nets.zoo import Model
from hrpose_rt.runtimes import Runtime
from hrpose_rt.runtimes.choice import Choice, choose
from hrpose_rt.runtimes.spec import EngineSpec, Task

# Input sizes that the published weights were trained with, which their files do not say.
_POSE_INPUTS = {17: ((256, 192), "coco17"), 16: ((256, 256), "mpii16")}
_OTHER_INPUT = ((256, 192), None)
_DETECTOR_INPUTS = ((640, 640), (384, 640), (640, 384), (480, 640), (640, 480))


def open_engine(
    model: Model,
    task: Task,
    runtime: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int = 0,
    skeleton: str = "auto",
) -> tuple[Runtime, EngineSpec]:
    """Open a model.

    Args:
        model: As `zoo.find_model` gives it.
        task: What it is for.
        runtime, precision, device: As `choice.choose` takes them.
        threads: Cores to use; 0 for all this process may use.
        skeleton: Of a pose network, in place of its own: a name or a skeleton file.

    Raises:
        BadInput: Runtime, precision and device do not go together, or the model has no file for them.
        RuntimeMissing: The runtime's library is not installed, or does not see the device.
    """
    choice = choose(model.engine is not None, runtime, precision, device)
    threads = threads or usable_cores()
    if choice.runtime == "torch":
        if model.checkpoint is None:
            raise BadInput(f"{model.name} is an engine, which --runtime torch cannot execute: use openvino")
        opened, spec = _open_eager(model, model.checkpoint, task, choice, threads, skeleton)
    else:
        if model.engine is None or model.spec is None:
            raise BadInput(f"{model.name} is a checkpoint, which only --runtime torch executes")
        opened, spec = _open_onnx(model.engine, choice, threads), model.spec
    opened.why = choice.why
    return opened, spec if skeleton == "auto" else replace(spec, skeleton=skeleton)


def _open_onnx(engine: Path, choice: Choice, threads: int) -> Runtime:
    if choice.runtime == "onnxruntime":
        if engine.suffix != ".onnx":
            raise BadInput(f"{engine} is OpenVINO's own form: use --runtime openvino, or an .onnx file")
        from hrpose_rt.runtimes.ort import OnnxRuntime

        return OnnxRuntime(engine, threads, choice.device)
    from hrpose_rt.runtimes.ov import OpenVinoRuntime

    return OpenVinoRuntime(engine, choice.precision, threads, choice.device)


def _open_eager(
    model: Model, checkpoint: Path, task: Task, choice: Choice, threads: int, skeleton: str
) -> tuple[Runtime, EngineSpec]:
    if task == "detection":
        from hrpose_rt.nets.yolo import load_yolo

        module = load_yolo(checkpoint)
        spec = model.spec or EngineSpec(model.name, task, _DETECTOR_INPUTS, "fp32", sha256(checkpoint))
    else:
        net, config = load_hrnet(checkpoint)
        from hrpose_rt.nets.inputs import hrnet_on_crops

        module = hrnet_on_crops(net)
        spec = model.spec or _pose_spec(model.name, checkpoint, config.joints, skeleton)
    from hrpose_rt.runtimes.eager import EagerRuntime

    return EagerRuntime(module, choice.precision, threads, choice.device), spec


def _pose_spec(name: str, checkpoint: Path, joints: int, skeleton: str) -> EngineSpec:
    """The usual spec for so many joints, where the checkpoint came alone."""
    (h, w), usual = _POSE_INPUTS.get(joints, _OTHER_INPUT)
    if usual is None and skeleton == "auto":
        raise BadInput(
            f"{checkpoint} has {joints} joints, and nothing says which: name them in a skeleton file and "
            "give it with --skeleton"
        )
    return EngineSpec(
        model=name,
        task="pose",
        inputs_hw=((h, w),),
        precision="fp32",
        weights_sha256=sha256(checkpoint),
        skeleton=usual or skeleton,
        heatmap_hw=(h // 4, w // 4),
    )
