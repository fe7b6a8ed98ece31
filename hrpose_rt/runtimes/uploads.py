"""Frames on a device, each brought there once for detector and pose network alike."""

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.types import U8


class Uploads:
    """Remembers the frame it brought last.

    Args:
        device: Where to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._image: U8 | None = None
        self._frame: Tensor | None = None

    def frame(self, image: U8) -> Tensor:
        """A frame (H, W, 3) uint8 as (1, 3, H, W) float32 on the device; it travels as uint8."""
        if self._frame is None or self._image is not image:
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
            self._image, self._frame = image, pixels.permute(2, 0, 1)[None].float()
        return self._frame

    def wait(self) -> None:
        """Until the device is done: a stage's time is its own."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
