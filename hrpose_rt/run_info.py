"""The networks, their runtimes and the machine of a run, for files and reports."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """The person detector.

    Attributes:
        model: Its name, or the name of the file of boxes that takes its place.
        sha256: Hash of the engine, or of the checkpoint if there is no engine.
        runtime, precision: As in `Settings`, with "auto" resolved; "file" and "" for a file of boxes.
    """

    model: str
    sha256: str
    runtime: str
    precision: str

    def to_dict(self) -> dict[str, Any]:
        """The values by the keys of reports."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PoseInfo:
    """The pose network.

    Attributes:
        model: Its name.
        sha256: Hash of the engine, or of the checkpoint if there is no engine.
        input_hw: Height and width of its crops.
        decode: "quarter", "dark" or "udp".
        runtime, precision, device: As in `Settings`, with "auto" resolved.
        reason: The reason for this choice, as text.
        skeleton: Name of its skeleton.
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
        """Height and width of its crops as text, such as 256x192."""
        return f"{self.input_hw[0]}x{self.input_hw[1]}"

    def to_dict(self) -> dict[str, Any]:
        """The values by the keys of reports."""
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
    """The processor, and the number of threads of the networks.

    Attributes:
        threads: Threads of the networks.
        cpu: Name of the processor.
        cpu_features: Features that affect speed, such as avx512_vnni.
    """

    threads: int
    cpu: str
    cpu_features: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.threads} cores of {self.cpu} ({', '.join(self.cpu_features)})"

    def to_dict(self) -> dict[str, Any]:
        """The values by the keys of reports."""
        return {"threads": self.threads, "cpu": self.cpu, "cpu_features": list(self.cpu_features)}


@dataclass(slots=True)
class Outages:
    """How often a server was away in a run, and how long in all.

    >>> outages = Outages()
    >>> outages.add(2.5)
    >>> outages.to_dict()
    {'outages': 1, 'away_s': 2.5}
    """

    count: int = 0
    away_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.away_s += seconds

    def to_dict(self) -> dict[str, float]:
        """For a report."""
        return {"outages": self.count, "away_s": round(self.away_s, 3)}


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Both networks and the machine.

    Attributes:
        pose, detector, hardware: Facts that do not change in a run.
        outages: Of the Triton server, if the networks run on one; it counts on during the run.
    """

    pose: PoseInfo
    detector: DetectorInfo
    hardware: HardwareInfo
    outages: Outages = field(default_factory=Outages)

    def to_dict(self) -> dict[str, Any]:
        """The values by the keys of JSON lines and reports."""
        pose = self.pose.to_dict()
        return {
            "models": {"pose": pose.pop("model"), "detector": self.detector.model},
            "engines_sha256": {"pose": pose.pop("sha256"), "detector": self.detector.sha256},
            **pose,
            "detector_runtime": self.detector.runtime,
            "detector_precision": self.detector.precision,
            **self.hardware.to_dict(),
        }
