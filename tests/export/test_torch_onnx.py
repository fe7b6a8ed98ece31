"""Checkpoint -> ONNX."""

import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hrpose_rt.export.torch_onnx import export_onnx
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.preprocessing import hrnet_on_crops
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.nets.zoo import EMBEDDED
from hrpose_rt.paths import models_folder
from tests.nets.test_hrnet import TINY

SPEC = EngineSpec("tiny", "pose", ((64, 64),), "fp32", "abc", "coco17", (16, 16), "dark")


@pytest.mark.slow
def test_onnx_export_matches_pytorch_at_any_batch_size(tmp_path) -> None:
    torch.manual_seed(0)
    module = hrnet_on_crops(HRNet(TINY)).eval()
    path = tmp_path / "tiny.onnx"
    export_onnx(module, path, SPEC)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        crops = np.random.default_rng(batch).integers(0, 256, (batch, 64, 64, 3), np.uint8)
        with torch.inference_mode():
            expected = module(torch.from_numpy(crops)).numpy()
        (heatmaps,) = session.run(["heatmaps"], {"crops": crops})
        np.testing.assert_allclose(heatmaps, expected, atol=1e-4)
    assert not list(tmp_path.glob("*.partial"))
    model = onnx.load(path)
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [0, 64, 64, 3]
    notes = {note.key: note.value for note in model.metadata_props}
    assert notes == {
        "model": "tiny",
        "task": "pose",
        "inputs": "64x64",
        "precision": "fp32",
        "skeleton": "coco17",
        "decode": "dark",
        "weights_sha256": "abc",
        "hrpose": version("hrpose-rt"),
    }


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_onnx_is_valid_and_holds_no_local_paths(name: str) -> None:
    path = models_folder() / f"{name}.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version >= 17
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    data = path.read_bytes()
    for trace in (b"site-packages", str(Path.home()).encode() + b"/"):
        assert trace not in data
    assert not re.search(rb"\w\.py\b", data)  # with a name before it: weights may spell the rest
