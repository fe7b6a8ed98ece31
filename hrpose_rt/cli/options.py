"""Options that several commands share, and those that are fields of `Settings`."""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from hrpose_rt.config import MODES, Settings, mode_fields, seconds_of
from hrpose_rt.errors import BadInput

# Options by the panel of `--help` that they are in.
input_option = partial(typer.Option, rich_help_panel="Input")
output_option = partial(typer.Option, rich_help_panel="Output")
model_option = partial(typer.Option, rich_help_panel="Models")
tracking_option = partial(typer.Option, rich_help_panel="Tracking")
speed_option = partial(typer.Option, rich_help_panel="Speed")

Pose = Annotated[str, model_option(help="Pose network: a name or a file.")]
DetectorName = Annotated[str, model_option(help="Person detector: a name or a file.")]
RuntimeName = Annotated[str, model_option(help="auto, tensorrt, openvino, onnxruntime, torch or triton.")]
Url = Annotated[str, model_option(help="Triton server: grpc://HOST:8001, or grpcs:// with TLS.")]
Precision = Annotated[
    str,
    model_option(help="auto, fp32, bf16, fp16 or int8; auto is the fastest of little loss."),
]
Device = Annotated[
    str,
    model_option(help="auto, cpu, gpu or npu (Intel's), cuda or cuda:1 (NVIDIA's): what computes."),
]
SkeletonName = Annotated[
    str,
    model_option(help="Joints of the pose network: auto, a name, or a .toml or .json file."),
]
Decode = Annotated[
    str,
    model_option(help="Heatmap decoding: auto, quarter, dark or udp; auto is the model's own."),
]
InputHw = Annotated[
    str | None,
    model_option("--input-hw", help="HEIGHTxWIDTH of a person's crop; the model's own by default."),
]
Preset = Annotated[
    str,
    model_option(help="How an ONNX file made elsewhere is fed: auto, rtmpose, vitpose or simplebaseline."),
]
FlipTest = Annotated[
    bool,
    model_option("--flip-test", help="Average with mirrored images, at twice the networks' cost."),
]
Threads = Annotated[int, speed_option(help="Cores for the networks; 0 for all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Hwaccel = Annotated[
    str,
    input_option(help="Decode videos on a GPU: cuda, vaapi, qsv, videotoolbox, d3d11va or auto."),
]
EncoderName = Annotated[
    str, output_option(help="What encodes an annotated video: x264, nvenc (NVIDIA) or auto.")
]
OverwriteOutput = Annotated[bool, output_option("--overwrite", help="Replace existing files.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
DetScore = Annotated[float, model_option(help="Leave out detections that score less, 0..1.")]
Classes = Annotated[
    str,
    model_option(
        help="Numbers of the detector's classes to pose; 0 is people, in yolo26n 15,16 is cats and dogs."
    ),
]
MaxPeople = Annotated[
    int,
    model_option(help="Keep the N best people of each frame, not always the same ones; 0 keeps all."),
]
Tracker = Annotated[str, tracking_option(help="Tracker: flow, ocsort or bytetrack.")]
Memory = Annotated[
    float,
    tracking_option(help="Seconds in which a lost person can get the old id back."),
]
MaxAge = Annotated[
    float,
    tracking_option(help="Seconds without a detection after which a track is lost."),
]
Mode = Annotated[
    str,
    speed_option(help="fast, balanced or accurate: sets other options, unless you give them."),
]
DetectEvery = Annotated[
    str | None,
    speed_option(help="Run the detector every N frames, or auto. Default: 1, or auto with a budget."),
]
Tiles = Annotated[
    str,
    speed_option(help="Also search enlarged parts: auto, off, or rows and columns such as 2x3."),
]
BudgetMs = Annotated[
    float,
    speed_option(help="Milliseconds per frame, from memory to poses; 0 is no limit."),
]
MaxPoseAge = Annotated[int, speed_option(help="Frames for which a budget may propagate a pose.")]
RegionText = Annotated[
    str,
    input_option("--region", help="Only people inside: x1,y1,x2,y2 in pixels, or a .json or image file."),
]
IgnoredRegion = Annotated[
    str,
    input_option("--ignore-region", help="No people inside; given as --region is."),
]
Boxes = Annotated[
    str,
    input_option(
        "--boxes", help="Boxes (and ids) from a file instead of a detector: MOT, COCO or JSON lines."
    ),
]
Smooth = Annotated[
    bool,
    tracking_option("--smooth/--no-smooth", help="Filter keypoints against jitter."),
]
Annotations = Annotated[Path, typer.Option(help="The file with the truth.")]
ImagesFolder = Annotated[Path | None, typer.Option(help="The folder its images are in.")]
OutputFolder = Annotated[Path | None, typer.Option(help="A folder for the predictions and the figures.")]


def parse_every(text: str | None) -> int | None:
    """A `--detect-every` as `Settings` has it."""
    if text is None or text == "auto":
        return None if text is None else 0
    if not text.isdecimal() or not int(text):
        raise BadInput(f"--detect-every is a number of frames, or auto, not {text}")
    return int(text)


def parse_seconds(text: str) -> float:
    """Seconds, also as minutes:seconds or hours:minutes:seconds.

    >>> parse_seconds("2.5"), parse_seconds("1:30"), parse_seconds("1:00:02")
    (2.5, 90.0, 3602.0)
    """
    try:
        return seconds_of(str(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def parse_classes(text: str) -> tuple[int, ...]:
    """`15,16` -> (15, 16)."""
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise BadInput(f"--classes {text}: give the numbers of the detector's classes, such as 15,16")
    return tuple(map(int, numbers))


def parse_hw(text: str | None) -> tuple[int, int] | None:
    """`256x192` -> (256, 192)."""
    if text is None:
        return None
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise BadInput(f"--input-hw {text} is no size: give HEIGHTxWIDTH, such as 256x192")
    return int(height), int(width)


# The options that make `Settings`, by the names of the command line.
SETTINGS: dict[str, Any] = {
    "pose": Pose,
    "detector": DetectorName,
    "runtime": RuntimeName,
    "url": Url,
    "precision": Precision,
    "device": Device,
    "skeleton": SkeletonName,
    "det_score": DetScore,
    "classes": Classes,
    "max_people": MaxPeople,
    "input_hw": InputHw,
    "decode": Decode,
    "preset": Preset,
    "flip_test": FlipTest,
    "tracker": Tracker,
    "memory": Memory,
    "max_age": MaxAge,
    "mode": Mode,
    "detect_every": DetectEvery,
    "tiles": Tiles,
    "budget_ms": BudgetMs,
    "max_pose_age": MaxPoseAge,
    "smooth": Smooth,
    "region": RegionText,
    "ignore_region": IgnoredRegion,
    "boxes": Boxes,
    "threads": Threads,
}
_FIELDS = {"memory": "memory_s", "max_age": "max_age_s"}  # where a field is called otherwise
_READ: dict[str, Callable[[Any], Any]] = {
    "input_hw": parse_hw,
    "detect_every": parse_every,
    "classes": parse_classes,
}
_SHOWN: dict[str, Callable[[Any], Any]] = {
    "classes": lambda numbers: ",".join(map(str, numbers)),
    "detect_every": lambda every: every if every is None else str(every or "auto"),
}
DEFAULT_MODE = "balanced"


def options_of_mode(mode: str) -> dict[str, Any]:
    """What a mode sets, by the names of options; a value that only another mode sets is the default.

    >>> options_of_mode("fast")["detect_every"], options_of_mode("balanced")["flip_test"]
    ('auto', False)
    """
    names = sorted({name for fields in MODES.values() for name in fields})
    return _shown({name: getattr(Settings(), name) for name in names} | mode_fields(mode))


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Values of `Settings` as the command line has them."""
    return {name: _SHOWN[name](value) if name in _SHOWN else value for name, value in fields.items()}


def with_settings(*names: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these options of `SETTINGS`, and its parameter `settings` what they make.

    >>> @with_settings("pose", "threads")
    ... def command(settings: Settings, output: str = "") -> None:
    ...     print(settings.pose, settings.threads)
    >>> list(inspect.signature(command).parameters)
    ['pose', 'threads', 'output']
    >>> command(threads=1)
    hrnet-w16-lite 1

    Args:
        names: In the order in which `--help` has them. "runtime" brings "url", which it may need.
        defaults: Other ones than those of `Settings`.
    """
    names = tuple(dict.fromkeys(one for n in names for one in ((n, "url") if n == "runtime" else (n,))))
    fields = [name for name in names if name != "mode"]
    default = {name: getattr(Settings(), _FIELDS.get(name, name)) for name in fields} | defaults
    default = _shown(default) | {"mode": DEFAULT_MODE}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name != "settings":
                parameters.append(parameter)
                continue
            parameters += [
                parameter.replace(name=name, default=default[name], annotation=SETTINGS[name])
                for name in names
            ]

        @wraps(command)
        def call(**given: Any) -> None:
            mode = given.pop("mode", DEFAULT_MODE)
            known = default if mode == DEFAULT_MODE else default | options_of_mode(mode)
            values = {}
            for name in fields:
                value = given.pop(name, known[name])
                values[_FIELDS.get(name, name)] = _READ[name](value) if name in _READ else value
            command(settings=Settings(**values), **given)

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return decorate
