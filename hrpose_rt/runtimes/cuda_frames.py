"""Frames on a device, each brought there once for detector and pose network alike."""

import weakref

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.types import U8


class FrameUploader:
    """Frames between their detection and their poses.

    A frame is known by its array, which a caller may fill again: who looks at a frame first forgets what
    the array held before, and who looks last forgets the frame.

    Args:
        device: Where to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._frames: dict[int, tuple[weakref.ref[U8], Tensor]] = {}

    def frame(self, image: U8) -> Tensor:
        """A frame (H, W, 3) uint8 as (1, 3, H, W) float32 on the device; it travels as uint8."""
        known = self._frames.get(id(image))
        if known:
            return known[1]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        frame = pixels.permute(2, 0, 1)[None].float().contiguous()
        key, frames = id(image), self._frames
        frames[key] = (weakref.ref(image, lambda _: frames.pop(key, None)), frame)
        return frame

    def forget(self, image: U8) -> None:
        """Bring this array's pixels anew the next time."""
        self._frames.pop(id(image), None)

    def wait(self) -> None:
        """Until the device has done what it was given here: a stage's time is its own."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
