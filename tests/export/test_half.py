"""fp32 graphs -> 16 and 8 bits."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hrpose_rt.export.half import inside, layers_by_precision, to_16_bits
from hrpose_rt.export.quantize import first_and_last, make_signed, make_unsigned


def graph() -> onnx.ModelProto:
    """uint8 -> minus mean -> Conv -> Relu -> Resize -> Conv -> Sigmoid, boxes beside it doubled."""
    rng = np.random.default_rng(0)
    arrays = {
        "mean": np.float32(100),
        "w1": 0.01 * rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "w2": 0.1 * rng.normal(size=(2, 4, 1, 1)).astype(np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "axes": np.array([0, 3, 1, 2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["floats"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "mean"], ["centred"], "sub"),
        helper.make_node("Transpose", ["centred"], ["planes"], "transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Resize", ["b", "", "scales"], ["c"], "resize", mode="nearest"),
        helper.make_node("Conv", ["c", "w2"], ["d"], "last"),
        helper.make_node("Sigmoid", ["d"], ["heatmaps"], "sigmoid"),
    ]
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in arrays.items() if k != "axes"]
    value = helper.make_tensor_value_info
    onnx_graph = helper.make_graph(
        nodes,
        "g",
        [value("crops", TensorProto.UINT8, ["n", 8, 8, 3])],
        [value("heatmaps", TensorProto.FLOAT, ["n", 2, 16, 16])],
        constants,
    )
    return helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto) -> np.ndarray:
    crops = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"crops": crops})[0]


def test_fp16_region_is_first_to_last_conv() -> None:
    assert inside(graph().graph) == {"first", "relu", "resize", "last"}
    assert first_and_last(graph()) == ["first", "last"]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_fp16_and_bf16_convert_inner_weights_and_keep_outer_fp32(precision: str) -> None:
    source = graph()
    half = to_16_bits(source, precision)
    onnx.checker.check_model(half, full_check=True)
    assert layers_by_precision(source) == {"fp32": 2}
    assert layers_by_precision(half) == {precision: 2}
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    expected = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
    assert kinds == {
        "mean": TensorProto.FLOAT,  # half a grey level would be lost in bf16
        "scales": TensorProto.FLOAT,  # fp32 in any graph
        f"w1_{precision}": expected,
        f"w2_{precision}": expected,
    }
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert [n.op_type for n in half.graph.node].count("Cast") == 3


def test_fp16_output_matches_fp32_within_rounding() -> None:
    np.testing.assert_allclose(run(to_16_bits(graph(), "fp16")), run(graph()), atol=2e-3)


def test_fp16_output_of_inner_layer_is_cast_to_fp32() -> None:
    source = graph()
    del source.graph.node[-1]
    source.graph.node[-1].output[0] = "heatmaps"
    half = to_16_bits(source, "fp16")
    onnx.checker.check_model(half, full_check=True)
    np.testing.assert_allclose(run(half), run(source), atol=2e-3)


def quantised(kind: type, scale: float, zero: int = 0) -> onnx.ModelProto:
    """x -> Q -> DQ -> y."""
    value = helper.make_tensor_value_info
    constants = [("scale", np.float32(scale)), ("zero", np.array(zero, kind))]
    onnx_graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "q"),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], "dq"),
        ],
        "g",
        [value("x", TensorProto.FLOAT, [5])],
        [value("y", TensorProto.FLOAT, [5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants],
    )
    return helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


VALUES = np.array([0, 1, 10, 20, 25.5], np.float32)


def answer(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": VALUES})[0]


@pytest.mark.parametrize(("zero", "steps"), [(0, 255), (5, 250), (200, 200)])
def test_int8_make_signed_keeps_range_of_uint8_pairs(zero: int, steps: int) -> None:
    model = quantised(np.uint8, 0.1, zero)  # -.1 * zero to .1 * (255 - zero)
    expected = answer(model)
    make_signed(model)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert tensors["zero"].dtype == np.int8 and tensors["zero"] == 0
    assert tensors["scale"] == pytest.approx(0.1 * steps / 127)
    inside = VALUES < 0.1 * (255 - zero)  # a wider range clips less
    np.testing.assert_allclose(answer(model)[inside], expected[inside], atol=0.16)
    again = onnx.ModelProto.FromString(model.SerializeToString())
    make_signed(again)
    assert again == model


def test_int8_uint8_scale_read_as_int8_clips_at_half_range() -> None:
    """What TensorRT would do with it: keep the scale, take int8."""
    trap = quantised(np.int8, 0.1)
    np.testing.assert_allclose(answer(trap), [0, 1, 10, 12.7, 12.7], atol=0.06)


def test_int8_make_signed_takes_a_zero_point_per_channel() -> None:
    """As NNCF writes them before depthwise convolutions."""
    model = quantised(np.uint8, 0.1)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    channels = np.array([0, 5, 200], np.uint8)
    tensors["zero"].CopyFrom(numpy_helper.from_array(channels, "zero"))
    tensors["scale"].CopyFrom(numpy_helper.from_array(np.full(3, 0.1, np.float32), "scale"))
    make_signed(model)
    wider = numpy_helper.to_array(tensors["scale"])
    np.testing.assert_allclose(wider, 0.1 * np.array([255, 250, 200]) / 127, rtol=1e-6)


@pytest.mark.parametrize("zero", [0, -128, 77])
def test_int8_make_unsigned_keeps_values_of_int8_pairs(zero: int) -> None:
    model = quantised(np.int8, 0.1, zero)
    expected = answer(model)
    make_unsigned(model)
    zero_point = next(t for t in model.graph.initializer if t.name == "zero")
    assert numpy_helper.to_array(zero_point).dtype == np.uint8
    assert numpy_helper.to_array(zero_point) == zero + 128
    np.testing.assert_array_equal(answer(model), expected)


@pytest.mark.slow
def test_int8_hrnet_error_is_below_nncf_uint8_read_as_int8(tmp_path: Path) -> None:
    """The error against fp32 of int8 as it should be, and as TensorRT would read NNCF's own file."""
    import nncf

    from hrpose_rt.export.quantize import to_int8
    from hrpose_rt.paths import models_folder

    source = onnx.load(models_folder() / "hrnet-w16-lite.onnx")
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (1, 256, 192, 3), np.uint8) for _ in range(4)]

    def error(model: onnx.ModelProto) -> float:
        outputs = []
        for one in (source, model):
            session = onnxruntime.InferenceSession(
                one.SerializeToString(), providers=["CPUExecutionProvider"]
            )
            outputs.append(session.run(None, {"crops": batches[0]})[0])
        return float(np.abs(outputs[0] - outputs[1]).mean() / np.abs(outputs[0]).mean())

    nncf.set_log_level(40)
    theirs = nncf.quantize(
        onnx.ModelProto.FromString(source.SerializeToString()),
        nncf.Dataset(batches, lambda batch: {"crops": batch}),
        subset_size=4,
    )
    trapped = 0
    for tensor in theirs.graph.initializer:
        if tensor.data_type == TensorProto.UINT8 and "zero" in tensor.name:
            values = numpy_helper.to_array(tensor).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            trapped += 1
    theirs.graph.ClearField("value_info")
    assert trapped > 50
    ours = to_int8(source, batches)
    make_signed(ours)
    assert layers_by_precision(ours) == {"int8": 113}
    assert error(ours) < 0.6 * error(theirs)  # .50 on noise with these weights
