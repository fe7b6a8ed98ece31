"""Checkpoint -> ONNX graph in fp32, the source of all other precisions and engines."""

import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from hrpose_rt.export.onnx_file import save_onnx, strip
from hrpose_rt.nets.spec import EngineSpec

OPSET = 18
INPUTS = {"pose": "crops", "detection": "image"}
OUTPUTS = {"pose": "heatmaps", "detection": "boxes"}


def export_onnx(module: nn.Module, path: Path, spec: EngineSpec, free_hw: bool = False) -> None:
    """Write `module`, which takes (B, H, W, 3) uint8 and returns one tensor, as an ONNX file.

    Args:
        module: From `nets.preprocessing` or `nets.yolo`.
        path: The file to write; it is written atomically.
        spec: Spec of the network; recorded in the file.
        free_hw: Leave height and width open, besides the batch.
    """
    size: dict[int, object] = {0: torch.export.Dim.DYNAMIC}
    if free_hw:
        size |= {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    h, w = spec.inputs_hw[1 if free_hw else 0]  # not a square: the exporter would treat both sides as one
    example = torch.zeros(2, h, w, 3, dtype=torch.uint8)
    partial = path.with_suffix(".partial")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecation warnings
        torch.onnx.export(
            module.eval(),
            (example,),
            partial,
            input_names=[INPUTS[spec.task]],
            output_names=[OUTPUTS[spec.task]],
            dynamic_shapes=(size,),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
    import onnx

    model = onnx.load(partial)
    partial.unlink()
    strip(model)
    save_onnx(model, path, spec)
