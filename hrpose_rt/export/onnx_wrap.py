"""An ONNX file made elsewhere -> a graph that takes crops as they are and gives one output."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.export.onnx_file import strip
from hrpose_rt.nets.onnx_source import OnnxSource
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.types import F32, U8

MIN_IR = 4  # the first whose weights need not be inputs
MIN_OPSET = 13  # the first that quantises by channel


def wrap(path: Path, spec: EngineSpec) -> Any:
    """Put the normalisation before a network, and join its outputs behind it (`onnx.ModelProto`).

    Args:
        path: The ONNX file.
        spec: Its spec, from `onnx_source.describe`.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    if model.opset_import[0].version < MIN_OPSET:
        with contextlib.suppress(RuntimeError):  # some old files cannot be converted; they have no int8
            model = onnx.version_converter.convert_version(model, MIN_OPSET)
    model.ir_version = max(model.ir_version, MIN_IR)
    # Ultralytics and YOLOX call their input "images", as the one that is put before it.
    onnx.compose.add_prefix(model, "source/", inplace=True)
    graph, (height, width) = model.graph, spec.input_hw
    output = SourceReference(path, spec).infer(np.zeros((1, height, width, 3), np.uint8))
    nodes = [*_normalising(graph, spec), *graph.node, *_joining(graph, output.ndim)]
    for field in ("node", "input", "output"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    batch = spec.max_batch or "batch"
    images, joined = [batch, height, width, 3], [batch, *output.shape[1:]]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.UINT8, images))
    graph.output.append(helper.make_tensor_value_info("output", TensorProto.FLOAT, joined))
    strip(model)
    return model


def _normalising(graph: Any, spec: EngineSpec) -> list[Any]:
    """Nodes from `images`, (B, H, W, 3) uint8 BGR, to the input of a graph, which gets their constants."""
    from onnx import TensorProto, helper, numpy_helper

    normalization = spec.normalization
    assert normalization is not None
    weights = {tensor.name for tensor in graph.initializer}
    (source,) = [value for value in graph.input if value.name not in weights]
    order = slice(None, None, -1 if normalization.channels == "rgb" else 1)  # images are BGR
    constants = {
        "mean": np.array(normalization.mean, np.float32)[order],
        "scale": 1 / np.array(normalization.std, np.float32)[order],
        "order": np.arange(3)[order],
    }
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), f"input/{name}")
        for name, value in constants.items()
    )
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Cast", ["images"], {"to": TensorProto.FLOAT}),
        ("Sub", ["input/Cast", "input/mean"], {}),
        ("Mul", ["input/Sub", "input/scale"], {}),
        ("Transpose", ["input/Mul"], {"perm": [0, 3, 1, 2]}),
        ("Gather", ["input/Transpose", "input/order"], {"axis": 1}),
        ("Cast", ["input/Gather"], {"to": source.type.tensor_type.elem_type}),
    ]
    names = [f"input/{op}" for op, _, _ in steps[:-1]] + [source.name]
    return [
        helper.make_node(op, inputs, [name], name=f"node/{name}", **attributes)
        for (op, inputs, attributes), name in zip(steps, names, strict=True)
    ]


def _joining(graph: Any, rank: int) -> list[Any]:
    """Nodes that join the outputs of a graph, each of `rank` dimensions, along the last one, in fp32."""
    from onnx import TensorProto, helper

    names = [f"output/{i}" for i in range(len(graph.output))]
    nodes = [
        helper.make_node("Cast", [output.name], [name], name=f"node/{name}", to=TensorProto.FLOAT)
        for output, name in zip(graph.output, names, strict=True)
    ]
    return [*nodes, helper.make_node("Concat", names, ["output"], name="node/output", axis=rank - 1)]


class SourceReference:
    """The network as it came, for comparisons: normalised by NumPy, run by ONNX Runtime."""

    name, precision, device = "onnxruntime", "fp32", "cpu"

    def __init__(self, path: Path, spec: EngineSpec) -> None:
        self._source = OnnxSource(path)
        self._normalization, self._single = spec.normalization, spec.max_batch == 1

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Do nothing: a comparison is not timed."""

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        assert self._normalization is not None
        parts = np.split(batch, len(batch)) if self._single else [batch]
        outputs = [self._source.infer(part, self._normalization) for part in parts]
        return np.concatenate([np.concatenate(output, axis=-1) for output in outputs])

    def close(self) -> None:
        """Do nothing: the runtime holds only memory."""
