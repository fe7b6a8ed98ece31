"""fp32 graphs -> int8 graphs with QuantizeLinear/DequantizeLinear pairs, the same for every runtime."""

import contextlib
import logging
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from hrpose_rt.export.half import COMPUTE_OPS, inside
from hrpose_rt.types import U8


def to_int8(model: Any, batches: Iterable[U8], keep: Iterable[str] = ()) -> Any:
    """A copy of an fp32 graph (`onnx.ModelProto`) whose layers compute in int8.

    NNCF's post-training quantisation measures one scale per activation tensor and one per channel of the
    weights. All zero points are 0 and all values signed. Everything before the first convolution and after
    the last stays fp32, as do the layers in `keep`.

    Args:
        model: From `torch_onnx.export_onnx`.
        batches: (1, H, W, 3) uint8 images like the later input; the ranges are measured on them.
        keep: Names of layers that stay in fp32, since int8 costs them too much accuracy.
    """
    import nncf
    import onnx

    nncf.set_log_level(logging.ERROR)
    name = model.graph.input[0].name
    within = inside(model.graph)
    outside = [node.name for node in model.graph.node if node.name not in within]
    batches = list(batches)
    with contextlib.redirect_stdout(sys.stderr):  # NNCF prints its progress there
        quantised = nncf.quantize(
            onnx.ModelProto.FromString(model.SerializeToString()),
            nncf.Dataset(batches, lambda batch: {name: batch}),
            subset_size=len(batches),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            ignored_scope=nncf.IgnoredScope(names=[*outside, *keep], validate=False),
        )
    make_signed(quantised)
    quantised.graph.ClearField("value_info")
    return quantised


def make_signed(model: Any) -> None:
    """Turn uint8 pairs with zero point 0, which NNCF writes after ReLU, into int8 pairs.

    They keep their range: 0 to 255 steps of `scale` become 0 to 127 steps of `scale * 255 / 127`. TensorRT
    would read the uint8 pairs as int8 with the same scale, clip at half the range, and only warn.

    Raises:
        ValueError: A pair has another zero point.
    """
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    scaled: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale, zero = tensors[node.input[1]], tensors[node.input[2]]
        zero_points = numpy_helper.to_array(zero)
        if zero_points.any():
            raise ValueError(f"{node.name} has zero point {zero_points.ravel()[0]}")
        if zero.data_type == TensorProto.UINT8:
            zero.CopyFrom(numpy_helper.from_array(zero_points.astype(np.int8), zero.name))
            scaled.add(zero.name)
        if zero.name in scaled and scale.name not in scaled:
            wider = numpy_helper.to_array(scale) * np.float32(255 / 127)
            scale.CopyFrom(numpy_helper.from_array(np.asarray(wider, np.float32), scale.name))
            scaled.add(scale.name)


def first_and_last(model: Any) -> list[str]:
    """The names of the first compute layer and of those without another compute layer behind them."""
    costly = [node for node in model.graph.node if node.op_type in COMPUTE_OPS]
    consumed: set[str] = set()
    last = []
    for node in reversed(model.graph.node):
        if node.op_type in COMPUTE_OPS:
            if not consumed & set(node.output):
                last.append(node.name)
            consumed |= set(node.input)
        elif consumed & set(node.output):
            consumed |= set(node.input)
    return [costly[0].name, *last]
