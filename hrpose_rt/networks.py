"""Settings -> the two networks of a pipeline, opened and ready."""

from dataclasses import dataclass
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.machine import cpu_features, cpu_name, usable_cores
from hrpose_rt.nets.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, find_model
from hrpose_rt.people.detection import Detector, YoloDetector
from hrpose_rt.pose.host import HostPoseEstimator, PoseEstimator
from hrpose_rt.runtimes.opening import open_engine
from hrpose_rt.skeleton import Skeleton, find_skeleton


@dataclass(frozen=True, slots=True)
class Settings:
    """How a pipeline works.

    Attributes:
        pose, detector: Embedded names, or paths of checkpoints or engines.
        runtime: "openvino", "onnxruntime", "torch", or "auto": what suits the model and the machine.
        precision: "fp32", "bf16", "fp16", or "auto": the fastest that the device has.
        device: "cpu", "gpu" or "npu" (Intel's), "cuda" or "cuda:1" (NVIDIA's), or "auto".
        det_score: People below this score are left out, in 0..1.
        max_people: Keep at most this many a frame, best score first; 0 keeps all.
        decode: "quarter", "dark", "udp", or "auto" for the model's own.
        flip_test: Average with mirrored crops: twice the pose network's cost.
        threads: Cores to use; 0 for all that this process may use.
        skeleton: A built-in name, the path of a skeleton file, or "auto" for the model's own.
    """

    pose: str = DEFAULT_POSE
    detector: str = DEFAULT_DETECTOR
    runtime: str = "auto"
    precision: str = "auto"
    det_score: float = 0.3
    max_people: int = 0
    decode: str = "auto"
    flip_test: bool = False
    threads: int = 0
    device: str = "auto"
    skeleton: str = "auto"


@dataclass(frozen=True, slots=True)
class Networks:
    """A detector and a pose estimator that work together.

    Attributes:
        detector, estimator: Closed by the pipeline that is given them.
        skeleton: The joints that the estimator finds.
        facts: What files say about them: models, runtime and precision (of the pose network; the
            detector's beside it), machine.
    """

    detector: Detector
    estimator: PoseEstimator
    skeleton: Skeleton
    facts: dict[str, Any]


def open_networks(settings: Settings) -> Networks:
    """Open what the settings name; the pose network is warm, the detector waits for a frame's size.

    Raises:
        HrposeError: Something cannot be had; the message says what to do.
    """
    detector, detector_facts = open_detector(settings)
    estimator, pose_facts = open_pose(settings)
    estimator.warm()
    facts = {
        "models": {"pose": pose_facts.pop("model"), "detector": detector_facts["model"]},
        **pose_facts,
        "detector_runtime": detector_facts["runtime"],
        "detector_precision": detector_facts["precision"],
        **machine_facts(settings),
    }
    return Networks(detector, estimator, find_skeleton(pose_facts["skeleton"]), facts)


def open_detector(settings: Settings) -> tuple[YoloDetector, dict[str, Any]]:
    """The detector alone, and its model, runtime and precision."""
    model = find_model(settings.detector, "detection")
    runtime, spec = open_engine(model, "detection", **_how(settings))
    detector = YoloDetector(runtime, spec.inputs_hw, settings.det_score, settings.max_people)
    return detector, {"model": spec.model, "runtime": runtime.name, "precision": runtime.precision}


def open_pose(settings: Settings) -> tuple[HostPoseEstimator, dict[str, Any]]:
    """The pose estimator alone, not yet warm; its model, input, runtime, precision and skeleton."""
    model = find_model(settings.pose, "pose")
    runtime, spec = open_engine(model, "pose", **_how(settings), skeleton=settings.skeleton)
    h, w = spec.input_hw
    return HostPoseEstimator(runtime, spec, settings.decode, settings.flip_test), {
        "model": spec.model,
        "input": f"{h}x{w}",
        "runtime": runtime.name,
        "precision": runtime.precision,
        "device": runtime.device,
        "why": runtime.why,
        "skeleton": spec.skeleton,
    }


def machine_facts(settings: Settings) -> dict[str, Any]:
    """The processor that computes, and with how many threads."""
    return {"threads": _threads(settings), "cpu": cpu_name(), "cpu_features": cpu_features()}


def _how(settings: Settings) -> dict[str, Any]:
    return {
        "runtime": settings.runtime,
        "precision": settings.precision,
        "device": settings.device,
        "threads": _threads(settings),
    }


def _threads(settings: Settings) -> int:
    cores = usable_cores()
    if not 0 <= settings.threads <= cores:
        raise BadInput(
            f"{settings.threads} threads are asked for: this machine has 1 to {cores}, 0 takes all"
        )
    return settings.threads or cores
