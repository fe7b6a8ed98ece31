"""Detect people without leaving the device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.detection.letterbox import LETTERBOX_FILL, Letterbox
from hrpose_rt.detection.tiling import Region
from hrpose_rt.detection.yolo import MAX_BATCH, DetectionFilter, YoloDetector
from hrpose_rt.runtimes.base import DeviceRuntime
from hrpose_rt.runtimes.cuda import report_gpu_errors
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.timing import StageClock
from hrpose_rt.types import U8, Detections


class CudaYoloDetector(YoloDetector):
    """See `YoloDetector`; frames are letterboxed on the network's device.

    Args:
        runtime: The opened network.
        uploader: Copies frames to its device.
        inputs_hw, kept, model, flip_test: See `YoloDetector`.
    """

    def __init__(
        self,
        runtime: DeviceRuntime,
        uploader: FrameUploader,
        inputs_hw: tuple[tuple[int, int], ...],
        kept: DetectionFilter,
        model: str = "the detector",
        flip_test: bool = False,
    ) -> None:
        super().__init__(runtime, inputs_hw, kept, model, flip_test)
        self._on_device, self._uploader = runtime, uploader

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        """See `Detector.warm_up`; also warms up the letterbox and the decoding of boxes."""
        black, (h, w) = np.zeros((*frame_hw, 3), np.uint8), frame_hw
        # The runtime cuts larger batches into parts.
        for tiles in sorted({*range(min(max_tiles + 1, MAX_BATCH)), max_tiles}):
            self.detect(black, StageClock(), [(0, 0, w, h)] * tiles)

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        """See `Detector.detect`."""
        frame_hw = (image.shape[0], image.shape[1])
        regions = [(0, 0, frame_hw[1], frame_hw[0]), *tiles]
        with torch.inference_mode(), report_gpu_errors(self._uploader.device):
            with clock.stage("letterbox"):
                input_hw = self.input_hw_for(frame_hw)
                self._uploader.forget(image)
                frame = self._uploader.frame(image)
                parts = [frame[:, :, y1:y2, x1:x2] for x1, y1, x2, y2 in regions]
                inputs = [letterbox(part, input_hw) for part in parts]
                batch = torch.cat([*inputs, inputs[0].flip(2)] if self._flip_test else inputs)
                self._uploader.wait()
            with clock.stage("detect"):
                output = self._on_device.infer_device(batch).float().cpu().numpy()
                return self._decode(output, regions, frame_hw)


def letterbox(frame: Tensor, input_hw: tuple[int, int]) -> Tensor:
    """Letterbox a frame (1, 3, H, W) into a detector's input, (1, H, W, 3) uint8."""
    box = Letterbox.fit((frame.shape[2], frame.shape[3]), input_hw)
    (w, h), (x, y) = box.size_wh, box.offset_xy
    small = torch.nn.functional.interpolate(frame, (h, w), mode="bilinear", align_corners=False)
    canvas = torch.full((1, *input_hw, 3), LETTERBOX_FILL, dtype=torch.uint8, device=frame.device)
    canvas[0, y : y + h, x : x + w] = small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
    return canvas
