"""Frames on a device, each uploaded once for both the detector and the pose network."""

import weakref

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.types import U8


class FrameUploader:
    """Keeps uploaded frames from detection to pose estimation.

    A frame is identified by its array, which the caller may refill. The first user of a frame must
    therefore `forget` the array's old pixels, and the last user must `forget` the frame.

    Args:
        device: Target of the uploads.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._frames: dict[int, tuple[weakref.ref[U8], Tensor]] = {}

    def frame(self, image: U8) -> Tensor:
        """Return a frame (H, W, 3) uint8 as (1, 3, H, W) float32 on the device; the upload is uint8."""
        uploaded = self._frames.get(id(image))
        if uploaded:
            return uploaded[1]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        frame = pixels.permute(2, 0, 1)[None].float().contiguous()
        key, frames = id(image), self._frames
        frames[key] = (weakref.ref(image, lambda _: frames.pop(key, None)), frame)
        return frame

    def forget(self, image: U8) -> None:
        """Upload this array's pixels again the next time."""
        self._frames.pop(id(image), None)

    def wait(self) -> None:
        """Wait until the device has finished its queued work, so that a stage's time is its own."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
