"""What runs: both networks with their runtimes, and the machine; as files and reports state it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """The person detector.

    Attributes:
        model: Its name.
        sha256: Of the engine, or of the checkpoint where there is none.
        runtime, precision: See `Settings`; settled.
    """

    model: str
    sha256: str
    runtime: str
    precision: str

    def to_dict(self) -> dict[str, Any]:
        """By the keys of reports."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PoseInfo:
    """The pose network.

    Attributes:
        model: Its name.
        sha256: Of the engine, or of the checkpoint where there is none.
        input_hw: Height and width of its crops.
        decode: "quarter", "dark" or "udp".
        runtime, precision, device: See `Settings`; settled.
        reason: Why these, in words.
        skeleton: Name of its joints.
    """

    model: str
    sha256: str
    input_hw: tuple[int, int]
    decode: str
    runtime: str
    precision: str
    device: str
    reason: str
    skeleton: str

    @property
    def input(self) -> str:
        """Height and width of its crops as text, 256x192."""
        return f"{self.input_hw[0]}x{self.input_hw[1]}"

    def to_dict(self) -> dict[str, Any]:
        """By the keys of reports."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "input": self.input,
            "decode": self.decode,
            "runtime": self.runtime,
            "precision": self.precision,
            "device": self.device,
            "why": self.reason,
            "skeleton": self.skeleton,
        }


@dataclass(frozen=True, slots=True)
class HardwareInfo:
    """The processor, and with how many threads networks run on it.

    Attributes:
        threads: Of the networks.
        cpu: Its name.
        cpu_features: Those that matter here, such as avx512_vnni.
    """

    threads: int
    cpu: str
    cpu_features: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.threads} cores of {self.cpu} ({', '.join(self.cpu_features)})"

    def to_dict(self) -> dict[str, Any]:
        """By the keys of reports."""
        return {"threads": self.threads, "cpu": self.cpu, "cpu_features": list(self.cpu_features)}


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Both networks and the machine."""

    pose: PoseInfo
    detector: DetectorInfo
    hardware: HardwareInfo

    def to_dict(self) -> dict[str, Any]:
        """By the keys of JSON lines and reports."""
        pose = self.pose.to_dict()
        return {
            "models": {"pose": pose.pop("model"), "detector": self.detector.model},
            "engines_sha256": {"pose": pose.pop("sha256"), "detector": self.detector.sha256},
            **pose,
            "detector_runtime": self.detector.runtime,
            "detector_precision": self.detector.precision,
            **self.hardware.to_dict(),
        }
