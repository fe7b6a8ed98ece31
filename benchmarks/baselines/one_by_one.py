"""One crop at a time through ONNX Runtime, fp32: rtmlib where it is installed, else a loop like it.

python one_by_one.py WEIGHTS.pth [HEIGHTxWIDTH]

rtmlib takes networks that give heatmaps by its class for ViTPose. It comes with another OpenCV, so it is
best installed by `pip install --no-deps rtmlib`.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from batched_eager import MEAN, STD, parse
from protocol import serve

from hrpose_rt.geometry import boxes_to_centre_size, heatmap_to_frame
from hrpose_rt.hardware import usable_cores
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS


def export(weights: Path, input_hw: tuple[int, int], folder: str) -> str:
    """The network as rtmlib wants it: one normalised RGB crop in, heatmaps out."""
    path = f"{folder}/pose.onnx"
    net = load_hrnet(weights)[0].eval()
    torch.onnx.export(net, (torch.zeros(1, 3, *input_hw),), path, dynamo=True, verbose=False)
    return path


class OneByOne:
    """A loop over people: crop, normalise, run, decode."""

    def __init__(self, onnx: str, input_hw: tuple[int, int]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._input_hw = input_hw

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> None:
        for box in boxes:
            centres, sizes = boxes_to_centre_size(box[None], self._input_hw)
            crop = crop_people(image, centres, sizes, np.zeros((1, *self._input_hw, 3), np.uint8))
            batch = ((crop[..., ::-1].astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
            heatmaps = self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0]
            points, _ = HEATMAP_DECODERS["quarter"](heatmaps)
            heatmap_to_frame(points, centres, sizes, heatmaps.shape[2:])


def rtmlib_or_loop(onnx: str, input_hw: tuple[int, int]) -> tuple[str, Callable[..., object]]:
    try:
        import rtmlib
    except ImportError:
        return "one crop at a time, ONNX Runtime fp32", OneByOne(onnx, input_hw)
    return "rtmlib, ONNX Runtime fp32", rtmlib.ViTPose(onnx, input_hw[::-1], backend="onnxruntime")


if __name__ == "__main__":
    weights, input_hw = parse(sys.argv[1:], "256x192")
    with tempfile.TemporaryDirectory() as folder:
        serve(*rtmlib_or_loop(export(weights, input_hw, folder), input_hw))
