"""fp32 graphs -> 16-bit graphs with explicit types, so that every runtime rounds the same values."""

from collections import Counter
from typing import Any

COMPUTE_OPS = ("Conv", "ConvTranspose", "MatMul", "Gemm")  # layers that do most of the arithmetic
BF16_OPSET = 22  # the first opset with bf16 convolutions
LAYOUT_OPS = (
    "Concat",
    "Split",
    "MaxPool",
    "Reshape",
    "Transpose",
    "Slice",
    "Resize",
    "Unsqueeze",
    "Squeeze",
)


def to_16_bits(model: Any, precision: str) -> Any:
    """A copy of an fp32 graph (`onnx.ModelProto`) that computes in "fp16" or "bf16".

    Input stays uint8 and output fp32. Everything before the first convolution and after the last stays
    fp32: subtracting the mean in bf16 would cost half a grey level, and boxes at 640 pixels are half a
    pixel apart in fp16.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(model)  # returns a copy
    _Retyping(model.graph, precision).run()
    if precision == "bf16":  # later opsets up to this one only add types and options
        model.opset_import[0].version = BF16_OPSET
    model.graph.ClearField("value_info")
    return model


class _Retyping:
    """Retypes the inside of a graph and casts values that cross its border."""

    def __init__(self, graph: Any, precision: str) -> None:
        from onnx import TensorProto

        self._graph, self._suffix = graph, f"_{precision}"
        self._full = TensorProto.FLOAT
        self._half = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        values = (*graph.value_info, *graph.input, *graph.output)
        self._types = {value.name: value.type.tensor_type.elem_type for value in values}
        self._types |= {name: tensor.data_type for name, tensor in self._weights.items()}
        self._nodes: list[Any] = []
        self._casts: set[str] = set()  # names of casts that exist already

    def run(self) -> None:
        within, halves = inside(self._graph), set()
        for node in self._graph.node:
            if node.name in within:
                for i, name in enumerate(node.input):
                    # Resize's region and scales are fp32 in every graph.
                    if self._types.get(name) == self._full and not (node.op_type == "Resize" and i):
                        node.input[i] = name if name in halves else self._as_half(name)
                halves |= {name for name in node.output if self._types.get(name) == self._full}
            else:
                for i, name in enumerate(node.input):
                    if name in halves:
                        node.input[i] = self._cast(name, name + "_fp32", self._full)
            self._nodes.append(node)
        for output in self._graph.output:
            if output.name in halves:
                self._rename(output.name, output.name + self._suffix)
                self._cast(output.name + self._suffix, output.name, self._full)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        weights = [tensor for tensor in self._weights.values() if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(weights)

    def _as_half(self, name: str) -> str:
        """The name of a value's 16-bit version."""
        half = name + self._suffix
        if name not in self._weights:
            return self._cast(name, half, self._half)
        if half not in self._weights:
            self._weights[half] = _converted(self._weights[name], half, self._half)
        return half

    def _cast(self, name: str, cast: str, to: int) -> str:
        from onnx import helper

        if cast not in self._casts:
            self._casts.add(cast)
            self._nodes.append(helper.make_node("Cast", [name], [cast], f"cast_{cast}", to=to))
        return cast

    def _rename(self, name: str, new: str) -> None:
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, value in enumerate(names):
                    if value == name:
                        names[i] = new


def _converted(tensor: Any, name: str, data_type: int) -> Any:
    import numpy as np
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(data_type))
    return numpy_helper.from_array(np.asarray(values), name)


def layers_by_precision(model: Any) -> dict[str, int]:
    """The number of compute layers by precision."""
    from onnx import TensorProto

    names = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
    made_by = {out: node for node in model.graph.node for out in node.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    eight_bits: set[str] = set()  # 8-bit values, also after a change of layout
    counts: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            eight_bits |= set(node.output)
        elif node.op_type in LAYOUT_OPS and node.input[0] in eight_bits:
            eight_bits |= set(node.output)
        if node.op_type in COMPUTE_OPS:
            if set(node.input[:2]) <= eight_bits:
                counts["int8"] += 1
                continue
            weights = [types[name] for name in node.input if name in types]
            counts[names[weights[0]] if weights else _cast_before(node, made_by, names, types)] += 1
    return dict(counts)


def _cast_before(node: Any, made_by: dict[str, Any], names: "dict[Any, str]", types: dict[str, int]) -> str:
    """The precision of a layer without weights: that of the nearest cast or weight before it."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop(0)
        if node.op_type == "Cast":
            return names.get(node.attribute[0].i, "fp32")
        for name in node.input:
            if types.get(name) in names:
                return names[types[name]]
            if name in made_by and name not in seen:
                seen.add(name)
                waiting.append(made_by[name])
    return "fp32"


def inside(graph: Any) -> set[str]:
    """Names of the nodes between the first and the last compute layer, on every path through the graph."""
    after_first, before_last = set(), set()
    known: set[str] = set()
    for node in graph.node:  # in topological order
        if node.op_type in COMPUTE_OPS or known & set(node.input):
            known |= set(node.output)
            after_first.add(node.name)
    known = set()
    for node in reversed(graph.node):
        if node.op_type in COMPUTE_OPS or known & set(node.output):
            known |= set(node.input)
            before_last.add(node.name)
    return after_first & before_last
