"""Compare an engine with the fp32 network on real people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.export import examples as footage
from hrpose_rt.export.parity import MIN_CROPS, MIN_KEYPOINT_SCORE, Parity, compare_boxes, compare_poses
from hrpose_rt.hardware import nvidia_gpus, usable_cores
from hrpose_rt.nets.spec import EngineSpec, Task
from hrpose_rt.nets.zoo import DEFAULT_DETECTOR, Model, find_model
from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.types import F32, U8

NO_GPU = "unverified: no GPU here"
NO_RUNTIME = "unverified: no runtime here executes it"
NO_PHOTOS = "unverified: no photos of people here"
NO_BOXES = "unverified: fp32 finds nobody in the images"
NOT_ASKED = "unverified: not asked for"
_BATCH = 8  # crops per batch


class CalibrationSet:
    """Images to calibrate and compare a model's engines on.

    Args:
        task: Task of the model.
        input_hw: Height and width of its input.
        source: A video or a folder; None for the packaged photos.
    """

    def __init__(self, task: Task, input_hw: tuple[int, int], source: Path | None) -> None:
        self._task, self._input_hw, self._source = task, input_hw, source
        self._images: list[U8] | None = None
        self._crops: footage.Crops | None = None

    def has_images(self) -> bool:
        """Whether there are images: those given, or the packaged photos."""
        return self._source is not None or footage.has_packaged_photos()

    def batches(self) -> list[U8]:
        """The network's inputs, (1, H, W, 3) each."""
        if self._task == "detection":
            return list(footage.letterboxed(self._all(), self._input_hw))
        return [crop[None] for crop in self.people().crops]

    def people(self) -> footage.Crops:
        """Crops of the people that the embedded detector finds."""
        if self._crops is None:
            runtime, spec = open_engine(find_model(DEFAULT_DETECTOR, "detection"), "detection")
            with YoloDetector(runtime, spec.inputs_hw, DetectionFilter(MIN_KEYPOINT_SCORE)) as detector:
                self._crops = footage.people(self._all(), detector, self._input_hw)
        return self._crops

    def _all(self) -> list[U8]:
        if self._images is None:
            self._images = footage.load_images(self._source)
        return self._images


def compare(
    engine: Path, spec: EngineSpec, reference: Runtime, examples: CalibrationSet, device: str = "cuda"
) -> Parity | str:
    """Compare an engine with the fp32 network; returns the reason as text if that is impossible here.

    Args:
        engine, spec: The engine.
        reference: The fp32 network.
        examples: Images for both.
        device: The GPU that TensorRT runs on.

    Raises:
        BadInput: There are too few people to compare.
    """
    if spec.format.startswith("tensorrt") and not nvidia_gpus():
        return NO_GPU
    if not examples.has_images():
        return NO_PHOTOS
    runtime = open_for_verification(engine, spec, device)
    if runtime is None:
        return NO_RUNTIME
    try:
        if spec.task == "detection":
            batches = examples.batches()
            expected, compared = ([run.infer(b).copy() for b in batches] for run in (reference, runtime))
            parity = compare_boxes(expected, compared, spec.precision)
            return parity if parity.metrics["boxes"] else NO_BOXES
        people = examples.people()
        if len(people.crops) < MIN_CROPS:
            raise BadInput(
                f"{len(people.crops)} people are in the pictures, a comparison needs {MIN_CROPS}: give "
                "longer footage to `calibration`"
            )
        maps = [
            np.concatenate(list(_in_batches(run, people.crops, spec.max_batch)))
            for run in (reference, runtime)
        ]
        return compare_poses(maps[0], maps[1], people.heights, spec)
    finally:
        runtime.close()


def verdict(spec: EngineSpec, compared: Parity | str, keep: bool) -> dict[str, Any]:
    """The `parity` record of a spec; raise RunBroken if the engine may not be kept."""
    if isinstance(compared, str):
        return {"status": compared}
    if compared.violations and not keep:
        raise RunBroken(
            f"{spec.model} in {spec.precision} is too far from fp32: {'; '.join(compared.violations)}. It "
            "was not kept: calibrate with other footage, choose another precision, or add `keep`"
        )
    kept = {"kept_although": list(compared.violations)} if compared.violations else {}
    return {"status": "verified", **compared.metrics, **kept}


def open_for_verification(engine: Path, spec: EngineSpec, device: str = "cuda") -> Runtime | None:
    """Open an engine in its own precision; None if this machine cannot run it."""
    if spec.format == "onnx" and spec.precision != "int8":  # int8 runs in OpenVINO, as `auto` opens it
        from hrpose_rt.runtimes.ort import OnnxRuntime

        return OnnxRuntime(engine, usable_cores(), precision=spec.precision)
    if spec.format in ("onnx", "openvino"):
        from hrpose_rt.runtimes.ov import OpenVinoRuntime, cpu_has_bf16

        if spec.precision == "bf16" and not cpu_has_bf16():
            return None
        on_cpu = (
            "fp32" if spec.precision == "fp16" else spec.precision
        )  # on the CPU, fp16 only rounds the weights
        return OpenVinoRuntime(engine, on_cpu, usable_cores())
    from hrpose_rt.runtimes.trt import TrtRuntime

    return TrtRuntime(engine, spec, device)


def reference(model: Model, spec: EngineSpec) -> Runtime:
    """The network as it came, in fp32: in PyTorch, or an ONNX file made elsewhere in ONNX Runtime."""
    if model.is_onnx:
        from hrpose_rt.export.onnx_wrap import SourceReference

        return SourceReference(model.weights(), spec)
    from hrpose_rt.nets.checkpoints import load_hrnet
    from hrpose_rt.nets.preprocessing import hrnet_on_crops
    from hrpose_rt.nets.yolo import load_yolo
    from hrpose_rt.runtimes.torch_eager import EagerRuntime

    if spec.task == "pose":
        return EagerRuntime(hrnet_on_crops(load_hrnet(model.weights())[0]), "fp32", usable_cores())
    return EagerRuntime(load_yolo(model.weights(), model.classic_head), "fp32", usable_cores())


def _in_batches(runtime: Runtime, crops: U8, most: int) -> Iterator[F32]:
    step = min(_BATCH, most or _BATCH)
    for start in range(0, len(crops), step):
        yield runtime.infer(crops[start : start + step]).copy()
