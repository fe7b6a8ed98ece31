"""Real-time top-down pose: who is in a frame, how they stand, and what it cost to know.

>>> import hrpose_rt
>>> for result in hrpose_rt.stream("video.mp4"):  # doctest: +SKIP
...     print(len(result), result.poses.keypoints.shape, result.times.total)
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# What cameras show is private, so nobody is told that this runs. OpenVINO sends an event to a host when it
# is imported, unless this package is missing. ONNX Runtime collects, unless this variable is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

if TYPE_CHECKING:
    from hrpose_rt.config import Clip, Settings
    from hrpose_rt.drawing.style import DrawStyle
    from hrpose_rt.errors import BadInput, HrposeError, RunBroken, RuntimeMissing
    from hrpose_rt.kinematics.angles import angle_names, joint_angles
    from hrpose_rt.pipeline import PosePipeline, stream
    from hrpose_rt.result import FrameResult
    from hrpose_rt.session import Session
    from hrpose_rt.sinks.base import Sink
    from hrpose_rt.skeleton import COCO17, MPII16, Skeleton
    from hrpose_rt.sources.base import Source
    from hrpose_rt.sources.open import open_source
    from hrpose_rt.types import Detections, Frame, Poses, SourceInfo, StageTimes

# Each public name and the module it is fetched from at its first use, so that importing the package
# costs nothing.
_HOMES = {
    **dict.fromkeys(("BadInput", "HrposeError", "RunBroken", "RuntimeMissing"), "errors"),
    **dict.fromkeys(("PosePipeline", "stream"), "pipeline"),
    **dict.fromkeys(("angle_names", "joint_angles"), "kinematics.angles"),
    "Session": "session",
    **dict.fromkeys(("Clip", "Settings"), "config"),
    "DrawStyle": "drawing.style",
    "FrameResult": "result",
    **dict.fromkeys(("COCO17", "MPII16", "Skeleton"), "skeleton"),
    "Sink": "sinks.base",
    "Source": "sources.base",
    "open_source": "sources.open",
    **dict.fromkeys(("Detections", "Frame", "Poses", "SourceInfo", "StageTimes"), "types"),
}

__all__ = [
    "COCO17",
    "MPII16",
    "BadInput",
    "Clip",
    "Detections",
    "DrawStyle",
    "Frame",
    "FrameResult",
    "HrposeError",
    "PosePipeline",
    "Poses",
    "RunBroken",
    "RuntimeMissing",
    "Session",
    "Settings",
    "Sink",
    "Skeleton",
    "Source",
    "SourceInfo",
    "StageTimes",
    "__version__",
    "angle_names",
    "joint_angles",
    "open_source",
    "stream",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"hrpose_rt.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hrpose_rt' has no attribute {name!r}")
