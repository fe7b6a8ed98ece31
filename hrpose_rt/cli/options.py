"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
FlipTest = Annotated[
    bool, typer.Option("--flip-test", help="Average with mirrored crops, at twice the cost.")
]
Threads = Annotated[int, typer.Option(help="Cores for the networks; 0 for all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Annotations = Annotated[Path, typer.Option(help="The file with the truth.")]
ImagesFolder = Annotated[Path | None, typer.Option(help="The folder its images are in.")]
OutputFolder = Annotated[Path | None, typer.Option(help="A folder for the predictions and the figures.")]
