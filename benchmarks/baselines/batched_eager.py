"""HRNet in eager PyTorch, fp32, everybody in one batch.

python batched_eager.py WEIGHTS.pth [HEIGHTxWIDTH]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from protocol import serve

from hrpose_rt.geometry import boxes_to_centre_size, heatmap_to_frame
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class EagerPose:
    """Crops, network, quarter offset."""

    def __init__(self, weights: Path, input_hw: tuple[int, int]) -> None:
        self._net = load_hrnet(weights)[0].eval()
        self._input_hw = input_hw

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        h, w = self._input_hw
        centres, sizes = boxes_to_centre_size(boxes, self._input_hw)
        crops = crop_people(image, centres, sizes, np.zeros((len(boxes), h, w, 3), np.uint8))
        batch = (crops[..., ::-1].astype(np.float32) / 255 - MEAN) / STD
        with torch.inference_mode():
            heatmaps = self._net(torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous()).numpy()
        points, _ = HEATMAP_DECODERS["quarter"](heatmaps)
        return heatmap_to_frame(points, centres, sizes, heatmaps.shape[2:])


def parse(arguments: list[str], input_hw: str) -> tuple[Path, tuple[int, int]]:
    if not arguments:
        sys.exit(__doc__)
    h, w = (arguments[1] if len(arguments) > 1 else input_hw).split("x")
    return Path(arguments[0]), (int(h), int(w))


if __name__ == "__main__":
    serve("batched eager PyTorch fp32", EagerPose(*parse(sys.argv[1:], "256x192")))
