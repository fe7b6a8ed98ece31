"""ONNX files made elsewhere -> specs.

The outputs show what a network is. Its normalisation they cannot show: a preset or a TOML file beside the
network says it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from hrpose_rt.errors import BadInput, last_line
from hrpose_rt.nets.onnx_session import open_session
from hrpose_rt.nets.published import read_name
from hrpose_rt.nets.spec import EngineSpec, Normalization, Task, spec_path
from hrpose_rt.paths import engines_folder
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.structures import decode
from hrpose_rt.types import F32, U8

IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
UNIT = Normalization((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
# How the networks of a family are fed and decoded. Sources: the configurations of OpenMMLab's MMPose
# (RTMPose, RTMW, DWPose, ViTPose, SimpleBaseline) and the export of Ultralytics.
PRESETS = {
    "rtmpose": ("simcc", IMAGENET),
    "vitpose": ("udp", IMAGENET),
    "simplebaseline": ("quarter", IMAGENET),
    "ultralytics": ("", UNIT),
}
SKELETON_OF = {17: "coco17", 16: "mpii16", 26: "halpe26", 133: "wholebody133"}
USUAL_HW: dict[Task, tuple[int, int]] = {"pose": (256, 192), "detection": (640, 640)}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True, slots=True)
class NetworkHints:
    """What a user says about a network that its file does not say.

    Attributes:
        skeleton: Its joints; "auto" for the usual ones of that number.
        input_hw: Height and width of its crops; None if not given.
        decode: Decoding of its output; "auto" if not given.
        preset: A key of `PRESETS`; "auto" if not given.
    """

    skeleton: str = "auto"
    input_hw: tuple[int, int] | None = None
    decode: str = "auto"
    preset: str = "auto"


NO_HINTS = NetworkHints()


@dataclass(frozen=True, slots=True)
class _Beside:
    """The TOML file beside a network."""

    preset: str = ""
    skeleton: str = ""
    decode: Annotated[str, Meta(pattern="^(quarter|dark|udp)?$")] = ""
    input_hw: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    channels: Annotated[str, Meta(pattern="^(rgb|bgr)$")] = "rgb"

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together")


class OnnxSource:
    """An ONNX file made elsewhere, run as it is by ONNX Runtime.

    Args:
        path: The file.

    Attributes:
        batch: The only batch size it takes; 0 for any.
        input_hw: Height and width of its input; None if it takes any.

    Raises:
        BadInput: It is not an image network.
        RuntimeMissing: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._session = path, open_session(path, ["CPUExecutionProvider"])
        first, *others = self._session.get_inputs()
        if first.type == "tensor(uint8)":
            raise BadInput(
                f"{path} is an engine and has no {spec_path(path).name} beside it that says what it holds"
            )
        shape = tuple(side if isinstance(side, int) else 0 for side in first.shape)
        if others or len(shape) != 4 or shape[1] not in (0, 3) or first.type not in _TYPES:
            takes = ", ".join(f"{i.type} {i.shape}" for i in (first, *others))
            raise BadInput(
                f"{path} takes {takes}: a network for images takes one input (B, 3, height, width) of "
                "floating-point numbers"
            )
        self._input, self._type, self.batch = first.name, _TYPES[first.type], shape[0]
        self.input_hw = (shape[2], shape[3]) if shape[2] and shape[3] else None
        if self.batch > 1:
            raise BadInput(f"{path} takes {self.batch} images at a time: export it for 1 or for any number")

    def infer(self, images: U8, normalization: Normalization) -> list[F32]:
        """All outputs for images (B, H, W, 3) uint8 BGR.

        Raises:
            BadInput: The network cannot compute them.
        """
        rgb = images[..., ::-1] if normalization.channels == "rgb" else images
        mean, std = (np.array(v, np.float32) for v in (normalization.mean, normalization.std))
        values = ((rgb - mean) / std).transpose(0, 3, 1, 2)
        feed = {self._input: np.ascontiguousarray(values, self._type)}
        try:
            return [np.asarray(output, np.float32) for output in self._session.run(None, feed)]
        except Exception as error:  # the library has many error classes
            raise BadInput(
                f"{self._path} cannot compute an image of {images.shape[1]}x{images.shape[2]} "
                f"({last_line(error)}): give its own size with `input_hw`"
            ) from error


def task_of(path: Path) -> Task:
    """The task of an ONNX file made elsewhere, by its outputs; raise BadInput if it is no image network."""
    source = OnnxSource(path)
    images = np.zeros((1, *(source.input_hw or USUAL_HW["pose"]), 3), np.uint8)
    outputs = source.infer(images, UNIT)
    return "detection" if len(outputs) == 1 and outputs[0].ndim == 3 else "pose"


@dataclass(frozen=True, slots=True)
class _Form:
    """What a file shows: the size of its input, its only batch (0 for any), the shapes of its outputs."""

    input_hw: tuple[int, int]
    batch: int
    shapes: list[tuple[int, ...]]


def _form_of_engine(task: Task, weights_sha256: str, input_hw: tuple[int, int]) -> _Form | None:
    """The form of a network that an engine was built from; spares opening the network at each start."""
    for file in sorted(engines_folder().glob(f"*-fp32-{weights_sha256[:8]}.json")):
        try:
            spec = EngineSpec.load(file)
            joints = len(find_skeleton(spec.skeleton).joints) if task == "pose" else 0
        except BadInput:  # changed since, or its skeleton file is gone
            continue
        if (spec.weights_sha256, spec.task, spec.input_hw) != (weights_sha256, task, input_hw):
            continue
        rows, columns = spec.heatmap_hw
        shapes: list[tuple[int, ...]] = [(joints, rows, columns)]
        if task == "detection":
            shapes = [(0, 0)]  # boxes; nothing depends on their number
        elif spec.decode == "simcc":
            shapes = [(joints, columns), (joints, rows)]
        return _Form(input_hw, spec.max_batch, shapes)
    return None


def _form_of_file(path: Path, input_hw: tuple[int, int], normalization: Normalization) -> _Form:
    """The form of a network, from a run of an empty image; `input_hw` is for one that takes any size."""
    source = OnnxSource(path)
    input_hw = source.input_hw or input_hw
    outputs = source.infer(np.zeros((1, *input_hw, 3), np.uint8), normalization)
    return _Form(input_hw, source.batch, [output.shape[1:] for output in outputs])


def describe(
    path: Path, task: Task, weights_sha256: str, hints: NetworkHints, progress: Callable[[str], None]
) -> EngineSpec:
    """The spec of an ONNX file made elsewhere.

    Args:
        path: The file.
        task: The task it is needed for.
        weights_sha256: Its hash.
        hints: What the user says about it; goes before what the TOML file beside it says.
        progress: Called with a text about assumed values.

    Raises:
        BadInput: It is no network for this task, or nothing says what its joints are.
        RuntimeMissing: ONNX Runtime is not installed.
    """
    beside = _beside(path)
    named_hw, named_decode = read_name(path.stem)
    wanted_hw = hints.input_hw or beside.input_hw or named_hw or USUAL_HW[task]
    preset = _preset(hints.preset if hints.preset != "auto" else beside.preset)
    normalization = preset[1] if preset else IMAGENET if task == "pose" else UNIT
    if beside.mean and beside.std:
        normalization = Normalization(beside.mean, beside.std, beside.channels)
    form = _form_of_engine(task, weights_sha256, wanted_hw) or _form_of_file(path, wanted_hw, normalization)
    shapes = form.shapes
    spec = EngineSpec(
        model=path.stem,
        task=task,
        inputs_hw=(form.input_hw,),
        precision="fp32",
        weights_sha256=weights_sha256,
        max_batch=form.batch,
        normalization=normalization,
    )
    if task == "detection":
        if len(shapes) != 1 or len(shapes[0]) != 2:
            raise BadInput(f"{path} gives {_in_words(shapes)}, which no person detector here does")
        rows, columns = shapes[0]
        if rows > columns > 6:
            raise BadInput(
                f"{path} gives a row for each box {shapes[0]}, as YOLOX does, which is not read: use a "
                "detector of Ultralytics"
            )
        return spec
    joints, grid_hw, simcc = _pose_output(shapes, path)
    if preset and (preset[0] == "simcc") != simcc:
        given = "SimCC vectors" if simcc else "heatmaps"
        raise BadInput(
            f"{path} gives {given}, which this `preset` does not fit: leave it out, or choose another"
        )
    said = [hints.decode, beside.decode, preset[0] if preset else "", named_decode or "quarter"]
    how = "simcc" if simcc else next(name for name in said if name not in ("", "auto"))
    skeleton = hints.skeleton if hints.skeleton != "auto" else beside.skeleton or SKELETON_OF.get(joints)
    if skeleton is None:
        raise BadInput(
            f"{path} has {joints} joints, and nothing says which: name them in a skeleton file and give it "
            "with `skeleton`"
        )
    if not (preset or beside.mean):
        progress(
            f"nothing says how {path.name} was trained: {how} and the usual normalisation of ImageNet "
            f"assumed, `preset` ({', '.join(PRESETS)}) or a {path.stem}.toml can say otherwise"
        )
    return replace(spec, skeleton=skeleton, heatmap_hw=grid_hw, decode=how)


def _pose_output(shapes: list[tuple[int, ...]], path: Path) -> tuple[int, tuple[int, int], bool]:
    """Number of joints, height and width of the grid, and whether it is SimCC's."""
    if len(shapes) == 1 and len(shapes[0]) == 3:
        joints, height, width = shapes[0]
        return joints, (height, width), False
    if len(shapes) == 2 and all(len(shape) == 2 for shape in shapes) and shapes[0][0] == shapes[1][0]:
        (joints, columns), (_, rows) = shapes
        return joints, (rows, columns), True
    raise BadInput(
        f"{path} gives {_in_words(shapes)} for a person: a pose network gives heatmaps (K, H, W), or SimCC "
        "vectors (K, columns) and (K, rows)"
    )


def _in_words(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)


def _preset(name: str) -> tuple[str, Normalization] | None:
    if name and name not in PRESETS:
        raise BadInput(f"there is no `preset` {name}: choose {', '.join(PRESETS)}")
    return PRESETS.get(name)


def _beside(network: Path) -> _Beside:
    path = network.with_suffix(".toml")
    try:
        return decode(path.read_bytes(), _Beside, toml=True) if path.is_file() else _Beside()
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} does not describe a network ({error}): docs/models.md has an example"
        ) from error
