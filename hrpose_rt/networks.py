"""Open the two networks of a pipeline from its settings."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeGuard

from hrpose_rt.config import Settings
from hrpose_rt.console import say
from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.region import RegionDetector
from hrpose_rt.detection.yolo import YoloDetector
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.nets.onnx_source import NetworkHints
from hrpose_rt.nets.spec import EngineSpec, Task
from hrpose_rt.nets.zoo import Model, find_model, spec_of_checkpoint
from hrpose_rt.pose.base import PoseEstimator
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.run_info import DetectorInfo, HardwareInfo, PoseInfo, RunInfo
from hrpose_rt.runtimes.base import DeviceRuntime, Runtime
from hrpose_rt.runtimes.open import open_selected, with_size
from hrpose_rt.runtimes.ov import bf16_is_fast
from hrpose_rt.runtimes.selection import (
    PRECISIONS_OF,
    RuntimeChoice,
    gpu_number,
    select_runtime,
    tensorrt_format,
)
from hrpose_rt.runtimes.trt_compat import check_ready
from hrpose_rt.skeleton import Skeleton, find_skeleton

if TYPE_CHECKING:
    from hrpose_rt.runtimes.cuda_frames import FrameUploader

HOST_DECODINGS = ("udp", "simcc")  # there is no decoder for a GPU
MAX_AP_LOSS = 0.01  # largest loss at which `auto` chooses int8
ProgressCallback = Callable[[str], None]
Uploaders = dict[str, "FrameUploader"]  # by device


@dataclass(slots=True, eq=False)
class Networks:
    """A detector and a pose estimator that work together. A context manager.

    Their buffers are reused from call to call, so a thread must hold the lock to use them; see `in_use`.

    Attributes:
        detector, estimator: The networks, closed by the pipeline that gets them.
        skeleton: The joints that the estimator finds.
        info: Facts about both and the machine, for files and reports.
        lock: Held by the thread that uses them.
    """

    detector: Detector
    estimator: PoseEstimator
    skeleton: Skeleton
    info: RunInfo
    lock: "threading.RLock" = field(default_factory=threading.RLock, init=False, repr=False)
    _closed: bool = field(default=False, init=False, repr=False)

    @contextmanager
    def in_use(self) -> Iterator["Networks"]:
        """Lock the networks for this thread; never hold them across a `yield`.

        Raises:
            BadInput: The networks are closed.
        """
        with self.lock:
            if self._closed:
                raise BadInput("the pipeline is closed, and its networks with it: open another")
            yield self

    def close(self) -> None:
        """Close both networks, even if closing the first fails. A second call does nothing."""
        with self.lock, ExitStack() as stack:
            if self._closed:
                return
            self._closed = True
            stack.callback(self.estimator.close)
            stack.callback(self.detector.close)

    def __enter__(self) -> "Networks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_networks(settings: Settings, progress: ProgressCallback = say) -> Networks:
    """Open both networks. The pose network is warmed up; the detector is not, it needs a frame's size.

    Args:
        settings: The settings.
        progress: Called with the current step if an engine must be built first.

    Raises:
        HrposeError: A network cannot be opened; the message says what to do.
    """
    uploaders: Uploaders = {}  # both share them, so a frame is uploaded once
    with ExitStack() as stack:
        region, ignored = settings.regions
        inside = replace(settings, max_people=0) if region or ignored else settings  # counted after that
        detector: Detector
        detector, detector_info = open_detector(inside, progress, uploaders)
        if region or ignored:
            detector = RegionDetector(detector, region, ignored, settings.max_people)
        stack.callback(detector.close)
        estimator, pose_info = open_pose(settings, progress, uploaders)
        stack.callback(estimator.close)
        estimator.warm_up()
        skeleton = find_skeleton(pose_info.skeleton)
        stack.pop_all()
    info = RunInfo(pose_info, detector_info, hardware_info(settings.threads))
    return Networks(detector, estimator, skeleton, info)


def open_detector(
    settings: Settings, progress: ProgressCallback = say, uploaders: "Uploaders | None" = None
) -> tuple[YoloDetector, DetectorInfo]:
    """Open only the detector; also returns its info. A pose network can share `uploaders` with it."""
    runtime, spec, _ = open_model(
        find_model(settings.detector, "detection"), "detection", settings, progress
    )
    with closed_on_error(runtime):
        detector = _detector(runtime, spec, settings, uploaders)
    return detector, DetectorInfo(
        model=spec.model,
        sha256=spec.sha256 or spec.weights_sha256,
        runtime=runtime.name,
        precision=runtime.precision,
    )


def open_pose(
    settings: Settings, progress: ProgressCallback = say, uploaders: "Uploaders | None" = None
) -> tuple[PoseEstimator, PoseInfo]:
    """Open only the pose estimator, without a warm-up; also returns its info. See `open_detector`."""
    runtime, spec, reason = open_model(find_model(settings.pose, "pose"), "pose", settings, progress)
    with closed_on_error(runtime):
        estimator = _estimator(runtime, spec, settings, uploaders)
    return estimator, PoseInfo(
        model=spec.model,
        sha256=spec.sha256 or spec.weights_sha256,
        input_hw=spec.input_hw,
        decode=spec.decode if settings.decode == "auto" else settings.decode,
        runtime=runtime.name,
        precision=runtime.precision,
        device=runtime.device,
        reason=reason,
        skeleton=spec.skeleton,
    )


@contextmanager
def closed_on_error(opened: Runtime) -> Iterator[None]:
    """Close the runtime if this block fails."""
    try:
        yield
    except BaseException:
        opened.close()
        raise


def _detector(
    runtime: Runtime, spec: EngineSpec, settings: Settings, uploaders: "Uploaders | None"
) -> YoloDetector:
    how = (spec.inputs_hw, settings.det_score, settings.max_people, spec.model)
    if not _stays_on_device(runtime):
        return YoloDetector(runtime, *how)
    from hrpose_rt.detection.yolo_cuda import CudaYoloDetector

    return CudaYoloDetector(runtime, _uploader(runtime.device, uploaders), *how)


def _estimator(
    runtime: Runtime, spec: EngineSpec, settings: Settings, uploaders: "Uploaders | None"
) -> PoseEstimator:
    if not _stays_on_device(runtime) or spec.decode in HOST_DECODINGS:
        return HostPoseEstimator(runtime, spec, settings.decode, settings.flip_test)
    from hrpose_rt.pose.estimator_cuda import CudaPoseEstimator

    uploader = _uploader(runtime.device, uploaders)
    return CudaPoseEstimator(runtime, spec, uploader, settings.decode, settings.flip_test)


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
    if choice.runtime == "torch" or model.checkpoint is None:
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
        progress(
            f"{exported.path.name} built in {time.perf_counter() - begin:.0f} s, kept in "
            f"{exported.path.parent}"
        )
    return replace(model, engine=exported.path, spec=exported.spec)


def _stays_on_device(runtime: Runtime) -> "TypeGuard[DeviceRuntime]":
    """Whether frames are uploaded to the GPU once, and cropped and decoded there."""
    return runtime.device.startswith("cuda") and hasattr(runtime, "infer_device")


def _uploader(device: str, uploaders: "Uploaders | None") -> "FrameUploader":
    """The uploader for a device, shared by the detector and the pose network."""
    import torch

    from hrpose_rt.runtimes.cuda_frames import FrameUploader

    uploaders = {} if uploaders is None else uploaders
    if device not in uploaders:
        uploaders[device] = FrameUploader(torch.device(device))
    return uploaders[device]


def _has_int8(detector: Model, runtime: str) -> bool:
    """Whether there is an int8 engine of a detector. TensorRT builds its own, and 16 bits serve it well."""
    return runtime != "tensorrt" and detector.in_precision("int8") is not None


def prefer_int8(model: Model, task: Task, device: str) -> bool:
    """Whether `auto` chooses int8: the model has it, it loses little AP, and it is fast on this CPU.

    On a CPU with AMX, the detector takes as long in bf16 and loses nothing. On a GPU it keeps fp16.
    """
    if task == "detection" and (device != "cpu" or bf16_is_fast()):
        return False
    fitting = model.in_precision("int8")
    if fitting is None or fitting.spec is None:
        return False
    loss = fitting.spec.parity.get("ap_loss")
    quick = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"} & set(cpu_features())
    return loss is not None and loss <= MAX_AP_LOSS and bool(quick)


def hardware_info(threads: int = 0) -> HardwareInfo:
    """The processor, with this many threads; 0 means all its cores."""
    return HardwareInfo(threads or usable_cores(), cpu_name(), tuple(cpu_features()))
