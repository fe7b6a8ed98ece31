"""Small ONNX networks as other tools export them: a bright spot in a crop is the peak of every joint."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HW = (64, 64)


def write(path: Path, nodes: list, outputs: list[str], batch: int | str = "batch", **other) -> Path:
    """Write a network (B, 3, 64, 64) -> `outputs`; `other`: `weights`, `opset`, `hw`, `kind`, `input`."""
    for node in nodes:
        node.input[:] = [other.get("input", name) if name == "input" else name for name in node.input]
    (height, width), kind = other.get("hw", HW), other.get("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "elsewhere",
        [helper.make_tensor_value_info(other.get("input", "input"), kind, [batch, 3, height, width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in other.get("weights", {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", other.get("opset", 17))])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def heatmaps(path: Path, joints: int = 17, **other) -> Path:
    """Heatmaps (B, joints, 16, 16)."""
    nodes = [
        helper.make_node("AveragePool", ["input"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["small", "mix"], ["out"]),
    ]
    return write(path, nodes, ["out"], weights=_mix(joints), **other)


def simcc(path: Path, joints: int = 17, **other) -> Path:
    """SimCC vectors (B, joints, 128) along x and along y, two bins a pixel."""
    nodes = [
        helper.make_node("Conv", ["input", "mix"], ["maps"]),
        helper.make_node("Resize", ["maps", "region", "scales"], ["large"], mode="nearest"),
        helper.make_node("ReduceMax", ["large"], ["simcc_x"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["large"], ["simcc_y"], axes=[3], keepdims=0),
    ]
    weights = _mix(joints) | {"scales": np.array([1, 1, 2, 2], np.float32)}
    weights["region"] = np.zeros(0, np.float32)
    return write(path, nodes, ["simcc_x", "simcc_y"], weights=weights, **{"opset": 11} | other)


def boxes(path: Path, box: tuple[float, ...] = (32, 32, 20, 40), score: float = 0.9, **other) -> Path:
    """A detector (B, 5, 1) that finds the box (centre and size) where the picture is bright."""
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["brightest"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["brightest", "shape"], ["bright"]),
        helper.make_node("Mul", ["bright", "found"], ["boxes"]),
    ]
    found = np.array([*box, score], np.float32).reshape(1, 5, 1)
    weights = {"shape": np.array([-1, 1, 1], np.int64), "found": found}
    return write(path, nodes, ["boxes"], weights=weights, **other)


def _mix(joints: int) -> dict[str, np.ndarray]:
    return {"mix": np.full((joints, 3, 1, 1), 1 / 3, np.float32)}
