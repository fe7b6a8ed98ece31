"""Ultralytics detectors as plain modules: pictures in, boxes out."""

from pathlib import Path

from torch import Tensor, nn

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.nets.inputs import PictureInput


def load_yolo(path: Path) -> PictureInput:
    """The detector in an Ultralytics `.pt`, its classic head selected.

    It takes (B, H, W, 3) uint8 BGR images and gives (B, 4 + classes, anchors): centre, size and class
    scores of every anchor. A YOLO26 has a second, NMS-free head; on our own weights the classic one with
    NMS at IoU 0.6 finds more (AP50 .327 against .270 in PyTorch on the coco-mini photos at 640 pixels).

    Raises:
        BadInput: The file is missing, broken, or holds more than a known detector.
        RuntimeMissing: ultralytics is not installed.
    """
    try:
        from ultralytics.nn.tasks import DetectionModel, torch_safe_load
    except ImportError as error:
        raise RuntimeMissing(f"{path.name} needs ultralytics: pip install 'hrpose-rt[export]'") from error
    if not path.is_file():
        raise BadInput(f"{path} does not exist: check the path")
    try:
        checkpoint, _ = torch_safe_load(str(path), safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
    except Exception as error:  # the library raises whatever pickle, zip or its own check meets
        raise BadInput(
            f"{path} was refused as an Ultralytics detector ({error}): fetch it again"
        ) from error
    if not isinstance(model, DetectionModel):
        raise BadInput(f"{path} holds a {type(model).__name__}, not a detector: choose another file")
    model.end2end = False
    model = model.float().fuse(verbose=False).eval()
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", True  # anchors follow the input's size
    return PictureInput(_OneOutput(model), "net.model.0.conv")


class _OneOutput(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        boxes: Tensor = out[0] if isinstance(out, (tuple, list)) else out
        return boxes
