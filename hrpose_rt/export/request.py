"""Which engine to build, and what was built."""

from dataclasses import dataclass, field
from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.export.tensorrt import TrtOptions
from hrpose_rt.nets.spec import FORMATS, EngineSpec

# Precisions of each format.
PRECISIONS_OF_FORMAT = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "bf16", "fp16", "int8"),
    "tensorrt": ("fp32", "fp16", "bf16", "int8"),
    "tensorrt-rtx": ("fp32", "fp16", "bf16", "int8"),
}
MAX_WORKSPACE_MIB = 2**20  # more than any GPU has


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An engine to build.

    Attributes:
        format: One of `FORMATS`.
        precision: One of the format's precisions.
        input_hw: Height and width, multiples of 32; None for the model's own.
        trt: Options for TensorRT and TensorRT for RTX.
        folder: Where to keep the engine; None for `engines_folder()`.
        calibration: A video or a folder for int8 calibration and for the comparison; None for the packaged
            photos.
        verify: Whether to compare it with fp32.
        keep: Keep the engine even if the comparison exceeds the limits.
        rebuild: Build even if the engine exists.
        free_hw: Detectors in ONNX: leave height and width open, for images of any shape.
        device: The GPU that TensorRT builds and compares on.
    """

    format: str = "onnx"
    precision: str = "fp32"
    input_hw: tuple[int, int] | None = None
    trt: TrtOptions = field(default_factory=TrtOptions)
    folder: Path | None = None
    calibration: Path | None = None
    verify: bool = True
    keep: bool = False
    rebuild: bool = False
    free_hw: bool = False
    device: str = "cuda"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise BadInput(f"there is no `format` {self.format!r}: choose {', '.join(FORMATS)}")
        precisions = PRECISIONS_OF_FORMAT[self.format]
        if self.precision not in precisions:
            others = [name for name, has in PRECISIONS_OF_FORMAT.items() if self.precision in has]
            hint = f", or `format` {' or '.join(others)}" if others else ""
            raise BadInput(
                f"{self.format} engines are {', '.join(precisions)}, not {self.precision}: use `precision` "
                f"{precisions[0]}{hint}"
            )
        if self.input_hw and (min(self.input_hw) < 32 or any(side % 32 for side in self.input_hw)):
            raise BadInput("`input_hw` is HEIGHTxWIDTH in multiples of 32, such as 256x192")
        if not 1 <= self.trt.workspace_mib <= MAX_WORKSPACE_MIB:
            raise BadInput(f"`workspace` is {self.trt.workspace_mib} MiB: give 1 to {MAX_WORKSPACE_MIB}")


@dataclass(frozen=True, slots=True)
class ExportedEngine:
    """An engine on disk.

    Attributes:
        path, spec: The file and its spec.
        built: Whether this call built it; False if it existed.
    """

    path: Path
    spec: EngineSpec
    built: bool
