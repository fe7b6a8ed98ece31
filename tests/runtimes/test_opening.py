"""A name -> something that computes, or a sentence."""

from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.zoo import find_model, models_folder
from hrpose_rt.runtimes.opening import open_engine

POSE = find_model("hrnet-w16-lite", "pose")
CHECKPOINT = find_model(str(models_folder() / "hrnet-w16-lite.pth"), "pose")
ENGINE = find_model(str(models_folder() / "hrnet-w16-lite.onnx"), "pose")


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (POSE, {"runtime": "tpu"}, "no runtime 'tpu': choose auto, openvino, onnxruntime, torch"),
        (POSE, {"precision": "int3"}, "no precision 'int3': choose auto, fp32, bf16"),
        (CHECKPOINT, {"runtime": "openvino"}, "a checkpoint, which only --runtime torch executes"),
        (CHECKPOINT, {"runtime": "onnxruntime"}, "a checkpoint, which only --runtime torch executes"),
        (
            POSE,
            {"runtime": "onnxruntime", "precision": "bf16"},
            "computes in fp32, not in bf16: use",
        ),
        (ENGINE, {"runtime": "torch"}, "an engine, which --runtime torch cannot execute: use openvino"),
    ],
)
def test_what_does_not_go_together_is_said(model, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        open_engine(model, "pose", **options)


def test_auto_takes_openvino_for_an_engine_and_torch_for_a_checkpoint() -> None:
    assert open_engine(POSE, "pose", precision="fp32")[0].name == "openvino"
    runtime, spec = open_engine(CHECKPOINT, "pose", precision="fp32")
    assert runtime.name == "torch"
    assert (spec.input_hw, spec.heatmap_hw, spec.skeleton) == ((256, 192), (64, 48), "coco17")


@pytest.mark.parametrize(("runtime", "name"), [("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime")])
def test_what_a_runtime_cannot_read_is_said(runtime, name, tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    (tmp_path / "bad.json").write_text((models_folder() / "hrnet-w16-lite.json").read_text())
    with pytest.raises(BadInput, match=rf"bad\.onnx is not a network that {name} can read"):
        open_engine(find_model(str(tmp_path / "bad.onnx"), "pose"), "pose", runtime)


def test_openvinos_own_files_are_opened_by_openvino_alone(tmp_path: Path) -> None:
    import openvino

    openvino.save_model(
        openvino.Core().read_model(POSE.engine), tmp_path / "mine.xml", compress_to_fp16=False
    )
    (tmp_path / "mine.json").write_text(POSE.engine.with_suffix(".json").read_text())
    mine = find_model(str(tmp_path / "mine.xml"), "pose")
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 192, 3), np.uint8)
    answers = []
    for model in (POSE, mine):
        runtime, _ = open_engine(model, "pose", "openvino", "fp32", threads=1)
        answers.append(runtime.infer(crops).copy())
        runtime.close()
    np.testing.assert_allclose(*answers, atol=1e-5)
    with pytest.raises(BadInput, match="is OpenVINO's own form: use --runtime openvino"):
        open_engine(mine, "pose", "onnxruntime")
