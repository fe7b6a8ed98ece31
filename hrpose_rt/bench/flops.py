"""The operations a network needs, and the operations per second a machine reaches."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.types import U8

SIDE = 2048  # side of the matrices whose product measures the peak
CUDA_SIDE = 8192  # the same on a GPU, which a smaller product does not fill
PEAK_S = 1.5  # seconds to measure it


def count_flops(path: Path, input_hw: tuple[int, int]) -> float:
    """Floating-point operations of an ONNX graph per image; a multiply-add counts as two."""
    import onnx

    model = onnx.load(path)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, *input_hw, 3), strict=True):
        dim.dim_value = size
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0.0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2 * np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2 * np.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return float(total)


def measure_peak(open_graph: Callable[[Path], Runtime], int8: bool) -> float:
    """Operations per second of a large matrix product.

    Args:
        open_graph: Opens an ONNX graph in the runtime and precision to measure.
        int8: Whether the matrices hold 8-bit values.
    """
    import onnx

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "product.onnx"
        onnx.save(_product(rng, int8), path)
        runtime = open_graph(path)
        try:
            batch: U8 = rng.integers(0, 127, (SIDE, SIDE), np.uint8)
            runtime.infer(batch)
            begin = time.perf_counter()
            times: list[float] = []
            while time.perf_counter() - begin < PEAK_S or len(times) < 3:
                start = time.perf_counter()
                runtime.infer(batch)
                times.append(time.perf_counter() - start)
        finally:
            runtime.close()
    return 2 * SIDE**3 / min(times)


def measure_cuda_peak(device: str, precision: str) -> float:
    """Operations per second of a large matrix product in PyTorch; 0 without a GPU or for other types.

    Args:
        device: "cuda" or "cuda:1".
        precision: "fp32", "fp16", "bf16" or "int8".
    """
    try:
        import torch
    except ImportError:
        return 0.0
    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
    if precision not in types or not torch.cuda.is_available():
        return 0.0
    multiply = torch._int_mm if precision == "int8" else torch.mm
    left, right = (
        torch.randint(-100, 100, (CUDA_SIDE, CUDA_SIDE), device=torch.device(device)).to(types[precision])
        for _ in range(2)
    )
    times: list[float] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < PEAK_S or len(times) < 3:
        start = time.perf_counter()
        multiply(left, right)
        torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * CUDA_SIDE**3 / min(times)


def _product(rng: np.random.Generator, int8: bool) -> Any:
    """A graph that multiplies uint8 rows by a constant matrix and returns only their maximum."""
    from onnx import TensorProto, helper, numpy_helper

    weights = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
    constants: list[tuple[str, Any]] = [("axis", np.array([0], np.int64))]
    nodes = [helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT)]
    left, right = "floats", "w"
    if int8:
        constants += [("scale", np.float32(1)), ("zero", np.int8(0)), ("w_scale", np.float32(0.03))]
        constants.append(("w8", (weights / 0.03).clip(-127, 127).astype(np.int8)))
        nodes += [
            helper.make_node("QuantizeLinear", ["floats", "scale", "zero"], ["x8"]),
            helper.make_node("DequantizeLinear", ["x8", "scale", "zero"], ["left"]),
            helper.make_node("DequantizeLinear", ["w8", "w_scale", "zero"], ["right"]),
        ]
        left, right = "left", "right"
    else:
        constants.append(("w", weights))
    nodes += [
        helper.make_node("MatMul", [left, right], ["product"]),
        helper.make_node("ReduceMax", ["product", "axis"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["rows", SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, SIDE])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
