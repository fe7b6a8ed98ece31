"""Ultralytics detectors as plain modules: images in, boxes out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.nets.preprocessing import NormalizedInput


def load_yolo(path: Path, classic: bool, fixed: bool = False) -> NormalizedInput:
    """Load the detector in an Ultralytics `.pt`.

    It takes (B, H, W, 3) uint8 BGR images. A classic head gives (B, 4 + classes, anchors): centre, size and
    class scores of every anchor. The NMS-free head of a YOLO26 gives (B, 300, 6): boxes that need no NMS.

    Args:
        path: The file.
        classic: Use the classic head if there are two; otherwise use the head the file was trained for.
        fixed: Whether all images will have one size; exports then become simpler.

    Raises:
        BadInput: The file is missing, broken, or holds more than a known detector.
        RuntimeMissing: ultralytics is not installed.
    """
    try:
        with as_before():
            from ultralytics.nn.tasks import DetectionModel, torch_safe_load
    except ImportError as error:
        raise RuntimeMissing(f"{path.name} needs ultralytics: {install_hint('export')}") from error
    if not path.is_file():
        raise BadInput(f"{path} does not exist: check the path")
    try:
        checkpoint, _ = torch_safe_load(str(path), safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
    except Exception as error:  # pickle, zip and the library's own check raise many different errors
        raise BadInput(
            f"{path} was refused as an Ultralytics detector ({error}): fetch it again"
        ) from error
    if not isinstance(model, DetectionModel):
        raise BadInput(f"{path} holds a {type(model).__name__}, not a detector: choose another file")
    if classic:
        model.end2end = False
    model = model.float().fuse(verbose=False).eval()
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", not fixed  # anchors follow the input's size
    return NormalizedInput(_OneOutput(model), "net.model.0.conv")


@contextmanager
def as_before() -> Iterator[None]:
    """Undo the process-wide changes of importing Ultralytics.

    These are threads and log levels in the environment, print options of NumPy and PyTorch, and torch.save.
    """
    environment, printing = dict(os.environ), np.get_printoptions()
    torch_printing, save, load = copy(torch._tensor_str.PRINT_OPTS), torch.save, torch.load
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        np.set_printoptions(**printing)
        torch._tensor_str.PRINT_OPTS = torch_printing
        torch.save, torch.load = save, load
        torch.set_num_threads(threads)


class _OneOutput(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        boxes: Tensor = out[0] if isinstance(out, (tuple, list)) else out
        return boxes
