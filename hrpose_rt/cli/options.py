"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from hrpose_rt.errors import BadInput

Pose = Annotated[str, typer.Option(help="Pose network: a name or a file.")]
DetectorName = Annotated[str, typer.Option(help="Person detector: a name or a file.")]
RuntimeName = Annotated[str, typer.Option(help="auto, tensorrt, openvino, onnxruntime or torch.")]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16 or int8; auto is the fastest of little loss.")
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, gpu or npu (Intel's), cuda or cuda:1 (NVIDIA's): what computes.")
]
SkeletonName = Annotated[
    str, typer.Option(help="Which joints the pose network finds: auto, a name, or a .toml or .json file.")
]
Decode = Annotated[
    str, typer.Option(help="auto, quarter, dark or udp: how heatmaps are read; auto is the model's own.")
]
InputHw = Annotated[
    str | None,
    typer.Option("--input-hw", help="HEIGHTxWIDTH of a person's crop; the model's own by default."),
]
FlipTest = Annotated[
    bool, typer.Option("--flip-test", help="Average with mirrored crops, at twice the cost.")
]
Threads = Annotated[int, typer.Option(help="Cores for the networks; 0 for all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Tracker = Annotated[str, typer.Option(help="Who is who: flow, ocsort or bytetrack.")]
Memory = Annotated[float, typer.Option(help="Seconds for which people out of sight are remembered.")]
MaxAge = Annotated[float, typer.Option(help="Seconds without a detection after which somebody is gone.")]
DetectEvery = Annotated[
    str | None,
    typer.Option(help="Look for people every so many frames, or auto: when it pays; 1."),
]
Tiles = Annotated[
    str, typer.Option(help="Look closer at parts: auto, off, or rows and columns such as 2x3.")
]
BudgetMs = Annotated[
    float, typer.Option(help="Milliseconds a frame may take, from memory to poses; 0: no limit.")
]
MaxPoseAge = Annotated[int, typer.Option(help="Frames for which a budget may carry a pose on.")]
Smooth = Annotated[bool, typer.Option("--smooth/--no-smooth", help="Filter keypoints against jitter.")]
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


def parse_hw(text: str | None) -> tuple[int, int] | None:
    """`256x192` -> (256, 192)."""
    if text is None:
        return None
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise BadInput(f"--input-hw {text} is no size: give HEIGHTxWIDTH, such as 256x192")
    return int(height), int(width)
