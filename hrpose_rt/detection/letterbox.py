"""Scale frames into a detector's input, and boxes back into the frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.types import F32, U8

LETTERBOX_FILL = 114  # grey level around a letterboxed frame, as in the detectors' training


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A frame resized to fit a network's input, centred, with its aspect ratio.

    Attributes:
        size_wh: Width and height of the resized frame within the input.
        offset_xy: Its upper left corner there.
        scale_xy: Input pixels per frame pixel; the two differ by rounding only.
    """

    size_wh: tuple[int, int]
    offset_xy: tuple[int, int]
    scale_xy: tuple[float, float]

    @classmethod
    def fit(cls, frame_hw: tuple[int, int], input_hw: tuple[int, int]) -> "Letterbox":
        """Fit a frame of `frame_hw` pixels into `input_hw`."""
        (fh, fw), (ih, iw) = frame_hw, input_hw
        scale = min(ih / fh, iw / fw)
        w, h = max(1, round(fw * scale)), max(1, round(fh * scale))
        return cls((w, h), ((iw - w) // 2, (ih - h) // 2), (w / fw, h / fh))

    def to_frame(self, boxes: F32) -> F32:
        """Convert boxes (N, 4) from input pixels to frame pixels."""
        offset = np.array(self.offset_xy * 2, np.float32)
        return np.asarray((boxes - offset) / np.array(self.scale_xy * 2), np.float32)

    def fill(self, canvas: U8, image: U8) -> None:
        """Write a frame, with grey around it, into an input (H, W, 3)."""
        (w, h), (x, y) = self.size_wh, self.offset_xy
        canvas[:y], canvas[y + h :] = LETTERBOX_FILL, LETTERBOX_FILL
        canvas[y : y + h, :x], canvas[y : y + h, x + w :] = LETTERBOX_FILL, LETTERBOX_FILL
        cv2.resize(image, (w, h), dst=canvas[y : y + h, x : x + w])
