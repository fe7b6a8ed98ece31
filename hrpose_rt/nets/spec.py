"""The spec of an engine, stored as JSON beside it: all facts that a program needs to run it."""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import write_json
from hrpose_rt.skeleton import SKELETON_SUFFIXES
from hrpose_rt.structures import convert, decode
from hrpose_rt.types import F32

SPEC_SCHEMA = 2
READABLE_SCHEMAS = (1, 2)  # schema 2 only adds fields
LARGEST = 1e6  # larger than every valid score and input pixel
Task = Literal["pose", "detection"]
Side = Annotated[int, Meta(ge=1, le=8192)]  # pixels
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{0,64}$")]
RTX_ARCHS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")  # architectures TensorRT for RTX builds for
FORMATS = {"onnx": ".onnx", "openvino": ".xml", "tensorrt": ".engine", "tensorrt-rtx": ".engine"}


@dataclass(frozen=True, slots=True)
class Build:
    """How an engine was built. A TensorRT engine runs only on the GPUs and the version it was built for.

    Attributes:
        library, version: The library that wrote the file.
        archs: The GPU architectures it runs on, such as "sm89"; empty if it is for no GPU.
        gpu: The GPU it was tuned on; empty if there was none.
        driver: Driver version of that GPU.
        options: Options given to the builder.
        seconds: Build time.
    """

    library: str
    version: str
    archs: tuple[str, ...] = ()
    gpu: str = ""
    driver: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Normalization:
    """The input of a network: (value - mean) / std of each channel, whose values are 0..255.

    Attributes:
        mean, std: By channel, in the network's order.
        channels: That order, "rgb" or "bgr".
    """

    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Meta(gt=0)], Annotated[float, Meta(gt=0)], Annotated[float, Meta(gt=0)]]
    channels: Annotated[str, Meta(pattern="^(rgb|bgr)$")] = "rgb"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """The facts about a network that a program needs to run it.

    Attributes:
        model: Its name.
        task: "pose" (crops to heatmaps) or "detection" (images to boxes).
        inputs_hw: Heights and widths it takes; pose networks have exactly one.
        precision: Type of its weights and arithmetic: "fp32", "fp16", "bf16" or "int8".
        weights_sha256: Hash of the checkpoint it was made from.
        skeleton: Pose: the name of a `Skeleton`, or the path of a skeleton file; in JSON the path is
            relative to the spec's folder.
        heatmap_hw: Pose: height and width of its heatmaps; with SimCC, number of bins along y and x.
        decode: Pose: default decoding of its output: "quarter", "dark" or "udp" of heatmaps, or "simcc".
        normalization: What an ONNX file made elsewhere takes; None for other networks.
        part_ankles: Pose: whether it tends to find both ankles on one foot, see `pose.ankles`.
        format: One of `FORMATS`.
        max_batch: The largest batch it takes; 0 for any.
        sha256: Hash of the engine; empty in the spec of a checkpoint.
        onnx_sha256: Hash of the typed graph it was built from, if any.
        calibration: Int8: names the footage it was calibrated on; empty for the packaged photos.
        build: How it was built.
        layers: Number of layers by precision.
        parity: Comparison with fp32: `status`, and metrics if it was compared.
    """

    model: str
    task: Task
    inputs_hw: Annotated[tuple[tuple[Side, Side], ...], Meta(min_length=1)]
    precision: Annotated[str, Meta(pattern="^(fp32|fp16|bf16|int8)$")]
    weights_sha256: Hash
    skeleton: str = ""
    heatmap_hw: tuple[int, int] = (0, 0)
    decode: Annotated[str, Meta(pattern="^(quarter|dark|udp|simcc)$")] = "quarter"
    format: Annotated[str, Meta(pattern="^(onnx|openvino|tensorrt|tensorrt-rtx)$")] = "onnx"
    max_batch: Annotated[int, Meta(ge=0)] = 0
    sha256: Hash = ""
    onnx_sha256: Hash = ""
    part_ankles: bool = False
    calibration: Hash = ""
    build: Build | None = None
    layers: dict[str, int] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    normalization: Normalization | None = None

    @property
    def input_hw(self) -> tuple[int, int]:
        """The first of `inputs_hw`."""
        return self.inputs_hw[0]

    def save(self, path: Path) -> None:
        """Write the spec as JSON, atomically."""
        write_json(path, self.to_dict(), indent=2)

    def to_dict(self) -> dict[str, Any]:
        """The values by the keys of JSON, with the schema."""
        return {"schema": SPEC_SCHEMA} | asdict(self)

    @classmethod
    def load(cls, path: Path) -> "EngineSpec":
        """Read a spec; raise BadInput with the file and the problem if it is invalid."""
        try:
            spec = cls.parse(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{path} does not describe an engine ({error}): export the model again"
            ) from error
        if spec.skeleton.endswith(SKELETON_SUFFIXES):
            spec = replace(spec, skeleton=str(path.parent / spec.skeleton))
        return spec

    @classmethod
    def parse(cls, data: bytes) -> "EngineSpec":
        """Read a spec from JSON; raise ValueError with the problem if it is invalid."""
        fields = decode(data, dict[str, Any])
        schema = fields.pop("schema", "none")
        if schema not in READABLE_SCHEMAS:
            raise ValueError(f"schema: {schema!r}, this version reads up to {SPEC_SCHEMA}")
        spec = convert(fields, cls)
        spec._check_pose()
        return spec

    def _check_pose(self) -> None:
        """Raise ValueError if a field is missing that pose networks need."""
        if self.task != "pose":
            return
        if len(self.inputs_hw) > 1:
            raise ValueError("inputs_hw: a pose network has one size")
        if not self.skeleton:
            raise ValueError("skeleton: a pose network has one")
        if min(self.heatmap_hw) < 1:
            raise ValueError(f"heatmap_hw: {list(self.heatmap_hw)} is no size")

    def check_hash(self, engine: Path) -> None:
        """Raise BadInput if `engine` is not, byte for byte, the file that this spec describes."""
        if self.sha256 and engine_sha256(engine) != self.sha256:
            raise BadInput(f"{engine} was changed or cut off since it was made: export {self.model} again")


def check_finite(values: F32, model: str) -> None:
    """Raise RunBroken if a network's output has NaN, infinite or impossibly large values."""
    if not (abs(values) < LARGEST).all():  # also catches NaN
        raise RunBroken(
            f"{model} gives numbers that are none, or far too large: it is broken, or `precision` has too "
            "small a range for it; try fp32, or export it again"
        )


def spec_path(engine: Path) -> Path:
    """The path of an engine's spec."""
    return engine.with_suffix(".json")


def engine_files(engine: Path) -> tuple[Path, ...]:
    """The files of an engine: OpenVINO stores weights beside the graph."""
    return (engine, engine.with_suffix(".bin")) if engine.suffix == ".xml" else (engine,)


def engine_sha256(engine: Path) -> str:
    """The sha256, in hex, of an engine's files in order; raise BadInput if one is missing."""
    digest = hashlib.sha256()
    for file in engine_files(engine):
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            raise BadInput(f"{file} cannot be read ({error.strerror}): export the model again") from error
    return digest.hexdigest()
