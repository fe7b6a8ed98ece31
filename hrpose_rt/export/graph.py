"""Checkpoint -> ONNX graph in fp32, from which engines are made."""

import logging
import warnings
from pathlib import Path

import torch
from torch import nn

OPSET = 18


def export_onnx(module: nn.Module, path: Path, example_hw: tuple[int, int], free_hw: bool = False) -> None:
    """Write `module`, which takes (B, H, W, 3) uint8 and returns one tensor, as an ONNX file.

    Args:
        module: As `nets.inputs` makes them.
        path: The file to write; it appears whole or not at all.
        example_hw: Height and width to trace with.
        free_hw: Leave height and width open, besides the batch.
    """
    size: dict[int, object] = {0: torch.export.Dim.DYNAMIC}
    if free_hw:
        size |= {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    example = torch.zeros(2, *example_hw, 3, dtype=torch.uint8)
    partial = path.with_suffix(".partial")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            module.eval(),
            (example,),
            partial,
            input_names=["image" if free_hw else "crops"],
            output_names=["boxes" if free_hw else "heatmaps"],
            dynamic_shapes=(size,),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
    _strip(partial)
    partial.replace(path)


def _strip(path: Path) -> None:
    """Take out what the exporter notes of its own run: stack traces, and with them this machine's paths."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
    graph.ClearField("value_info")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
