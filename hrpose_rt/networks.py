"""Open the two networks of a pipeline from its settings."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from hrpose_rt.config import Settings
from hrpose_rt.console import say
from hrpose_rt.detection.base import Detector
from hrpose_rt.detection.box_file import BoxFile
from hrpose_rt.detection.given import GivenBoxes
from hrpose_rt.detection.region import RegionDetector, RegionFilter
from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.open_model import ProgressCallback, open_by_name
from hrpose_rt.paths import sha256
from hrpose_rt.pose.base import PoseEstimator
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.run_info import DetectorInfo, HardwareInfo, Outages, PoseInfo, RunInfo
from hrpose_rt.runtimes.base import DeviceRuntime, Runtime
from hrpose_rt.skeleton import Skeleton, find_skeleton

if TYPE_CHECKING:
    from hrpose_rt.runtimes.cuda_frames import FrameUploader

HOST_DECODINGS = ("udp", "simcc")  # there is no decoder for a GPU


@dataclass(frozen=True, slots=True)
class Shared:
    """What the two networks of a pipeline share.

    Attributes:
        uploaders: By device; a frame is uploaded once.
        outages: Of the Triton server that both run on.
    """

    uploaders: dict[str, "FrameUploader"] = field(default_factory=dict)
    outages: Outages = field(default_factory=Outages)


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
    shared = Shared()
    with ExitStack() as stack:
        detector, detector_info = _open_people(settings, progress, shared)
        stack.callback(detector.close)
        estimator, pose_info = open_pose(settings, progress, shared)
        stack.callback(estimator.close)
        estimator.warm_up()
        skeleton = find_skeleton(pose_info.skeleton)
        stack.pop_all()
    info = RunInfo(pose_info, detector_info, hardware_info(settings.threads), shared.outages)
    return Networks(detector, estimator, skeleton, info)


def _open_people(
    settings: Settings, progress: ProgressCallback, shared: Shared
) -> tuple[Detector, DetectorInfo]:
    """Open the detector, or the file of boxes that stands in for it, with the regions applied."""
    region, ignored = settings.regions
    kept = RegionFilter(region, ignored, settings.max_people)
    if settings.boxes:
        path = Path(settings.boxes)
        given = GivenBoxes(BoxFile(path), settings.det_score, kept)
        return given, DetectorInfo(path.name, sha256(path), runtime="file", precision="")
    if not (region or ignored):
        return open_detector(settings, progress, shared)
    detector, info = open_detector(replace(settings, max_people=0), progress, shared)
    return RegionDetector(detector, kept), info


def open_detector(
    settings: Settings, progress: ProgressCallback = say, shared: Shared | None = None
) -> tuple[YoloDetector, DetectorInfo]:
    """Open only the detector; also returns its info. What is `shared`, a pose network can use, too."""
    shared = shared or Shared()
    runtime, spec, _ = open_by_name(settings.detector, "detection", settings, progress, shared.outages)
    with closed_on_error(runtime):
        detector = _detector(runtime, spec, settings, shared)
    return detector, DetectorInfo(
        model=spec.model,
        sha256=spec.sha256 or spec.weights_sha256,
        runtime=runtime.name,
        precision=runtime.precision,
    )


def open_pose(
    settings: Settings, progress: ProgressCallback = say, shared: Shared | None = None
) -> tuple[PoseEstimator, PoseInfo]:
    """Open only the pose estimator, without a warm-up; also returns its info. See `open_detector`."""
    shared = shared or Shared()
    runtime, spec, reason = open_by_name(settings.pose, "pose", settings, progress, shared.outages)
    with closed_on_error(runtime):
        estimator = _estimator(runtime, spec, settings, shared)
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


def _detector(runtime: Runtime, spec: EngineSpec, settings: Settings, shared: Shared) -> YoloDetector:
    kept = DetectionFilter(settings.det_score, settings.max_people, settings.classes)
    how = (spec.inputs_hw, kept, spec.model, settings.flip_test)
    if not _stays_on_device(runtime):
        return YoloDetector(runtime, *how)
    from hrpose_rt.detection.yolo_cuda import CudaYoloDetector

    return CudaYoloDetector(runtime, _uploader(runtime.device, shared), *how)


def _estimator(runtime: Runtime, spec: EngineSpec, settings: Settings, shared: Shared) -> PoseEstimator:
    if not _stays_on_device(runtime) or spec.decode in HOST_DECODINGS:
        return HostPoseEstimator(runtime, spec, settings.decode, settings.flip_test)
    from hrpose_rt.pose.estimator_cuda import CudaPoseEstimator

    uploader = _uploader(runtime.device, shared)
    return CudaPoseEstimator(runtime, spec, uploader, settings.decode, settings.flip_test)


def _stays_on_device(runtime: Runtime) -> "TypeGuard[DeviceRuntime]":
    """Whether frames are uploaded to the GPU once, and cropped and decoded there."""
    return runtime.device.startswith("cuda") and hasattr(runtime, "infer_device")


def _uploader(device: str, shared: Shared) -> "FrameUploader":
    """The uploader for a device, shared by the detector and the pose network."""
    import torch

    from hrpose_rt.runtimes.cuda_frames import FrameUploader

    if device not in shared.uploaders:
        shared.uploaders[device] = FrameUploader(torch.device(device))
    return shared.uploaders[device]


def hardware_info(threads: int = 0) -> HardwareInfo:
    """The processor, with this many threads; 0 means all its cores."""
    return HardwareInfo(threads or usable_cores(), cpu_name(), tuple(cpu_features()))
