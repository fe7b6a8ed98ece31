"""fp32 graphs -> int8 graphs with QuantizeLinear/DequantizeLinear pairs, for CPUs and for TensorRT."""

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

    NNCF's post-training quantisation measures one scale and zero point per activation tensor, and one scale
    per channel of the weights. Activations are uint8, which x86's dot products take as they are. Everything
    before the first convolution and after the last stays fp32, as do the layers in `keep`.

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
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=[*outside, *keep], validate=False),
        )
    make_unsigned(quantised)
    quantised.graph.ClearField("value_info")
    return quantised


def make_unsigned(model: Any) -> None:
    """Turn the int8 activations of a graph into uint8 ones with the same values: all numbers move by 128.

    NNCF writes int8 where values are negative, as after SiLU. With such tensors, OpenVINO 2026.4 computes a
    wrong output on a CPU without AMX: the detector then found nobody.
    """
    from onnx import numpy_helper

    for _, zero in _activation_pairs(model):
        zero_point = numpy_helper.to_array(zero)
        if zero_point.dtype == np.int8:
            moved = (zero_point.astype(np.int16) + 128).astype(np.uint8)
            zero.CopyFrom(numpy_helper.from_array(moved, zero.name))


def make_signed(model: Any) -> None:
    """Turn the uint8 activations of a graph into int8 ones with zero point 0, as TensorRT needs them.

    They keep their range: -5 to 250 steps of `scale` become -127 to 127 steps of `scale * 250 / 127`.
    TensorRT would read uint8 as int8 with the same scale, clip at half the range, and only warn.
    """
    from onnx import numpy_helper

    for scale, zero in _activation_pairs(model):
        zero_point = numpy_helper.to_array(zero)
        if zero_point.dtype == np.uint8:
            furthest = np.maximum(zero_point, 255 - zero_point)  # by channel before depthwise layers
            wider = numpy_helper.to_array(scale) * furthest.astype(np.float32) / 127
            scale.CopyFrom(numpy_helper.from_array(np.asarray(wider, np.float32), scale.name))
            zero.CopyFrom(numpy_helper.from_array(np.zeros_like(zero_point, np.int8), zero.name))


def _activation_pairs(model: Any) -> list[tuple[Any, Any]]:
    """The tensors of scale and zero point of each activation; weights have no QuantizeLinear node."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    names = {tuple(node.input[1:3]) for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return [(tensors[scale], tensors[zero]) for scale, zero in sorted(names)]


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
