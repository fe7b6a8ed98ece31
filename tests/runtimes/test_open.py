"""A name -> something that computes, or a sentence."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hrpose_rt import open_model
from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.hardware import Gpu
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import models_folder
from hrpose_rt.runtimes import selection as choice
from hrpose_rt.runtimes import trt_compat as trt_library
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.ort import CPU, CUDA

POSE = find_model("hrnet-w16-lite", "pose")
CHECKPOINT = find_model(str(models_folder() / "hrnet-w16-lite.pth"), "pose")
ENGINE = find_model(str(models_folder() / "hrnet-w16-lite.onnx"), "pose")


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (POSE, {"runtime": "tpu"}, "no `runtime` 'tpu': choose auto, tensorrt, openvino, onnxruntime"),
        (POSE, {"precision": "int3"}, "no `precision` 'int3': choose auto, fp32, bf16, fp16"),
        (CHECKPOINT, {"runtime": "openvino"}, "a checkpoint, which only `runtime` torch executes"),
        (CHECKPOINT, {"runtime": "onnxruntime"}, "a checkpoint, which only `runtime` torch executes"),
        (
            POSE,
            {"runtime": "onnxruntime", "precision": "bf16"},
            "onnxruntime on cpu computes in fp32 or int8, not in bf16: use `precision` fp32, or tensorr",
        ),
        (POSE, {"device": "tpu"}, "no `device` 'tpu': choose auto, cuda, cpu, gpu, npu"),
        (POSE, {"device": "npu:1"}, "no `device` 'npu:1': GPUs of NVIDIA's have numbers, as in cuda:1"),
        (
            POSE,
            {"runtime": "openvino", "device": "cuda"},
            "openvino does not run on cuda: use `device` cpu or gpu or npu, or `runtime` tensorrt",
        ),
        (ENGINE, {"runtime": "torch"}, "engines of hrnet-w16-lite and not the checkpoint, which is needed"),
    ],
)
def test_open_engine_rejects_conflicting_options(model, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        open_engine(model, "pose", **options)


def test_auto_runtime_is_openvino_for_engine_and_torch_for_checkpoint() -> None:
    assert open_engine(POSE, "pose", precision="fp32")[0].name == "openvino"
    runtime, spec = open_engine(CHECKPOINT, "pose", precision="fp32")
    assert runtime.name == "torch"
    assert (spec.input_hw, spec.heatmap_hw, spec.skeleton) == ((256, 192), (64, 48), "coco17")


@pytest.mark.parametrize(
    ("model", "runtime", "device", "words"),
    [
        (POSE, "openvino", "npu", r"OpenVINO sees no NPU here, only CPU.*: install Intel's driver for it"),
        (POSE, "onnxruntime", "cuda", r"built without CUDA: pip install onnxruntime-gpu in place of"),
        (
            POSE,
            "auto",
            "cuda:0",
            r"`device` cuda:0: no NVIDIA driver sees a GPU here; it takes the GPU's driver and",
        ),
        (
            CHECKPOINT,
            "auto",
            "cuda:3",
            r"PyTorch .* sees no CUDA devices, cuda:3 was asked for: check that",
        ),
    ],
)
def test_missing_device_raises_runtime_missing_with_remedy(model, runtime, device, words) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("CUDA is here")
    with pytest.raises(RuntimeMissing, match=words):
        open_engine(model, "pose", runtime, device=device)


class OtherSession:
    """ONNX Runtime's session, that says it took a provider and takes what it likes."""

    def __init__(self, path, options, providers) -> None:
        self.providers, OtherSession.last = providers, self

    def get_providers(self) -> list[str]:
        return OtherSession.took

    def get_inputs(self):
        return [SimpleNamespace(name="crops")]


def test_onnxruntime_cuda_disables_tf32_and_refuses_cpu_fallback(monkeypatch) -> None:
    import onnxruntime

    monkeypatch.setattr(choice, "nvidia_gpus", lambda: [ADA, ADA, ADA])
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OtherSession)
    loaded: list[str] = []
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: loaded.append("CUDA"), raising=False)
    OtherSession.took = [CUDA, CPU]
    runtime, _ = open_engine(POSE, "pose", device="cuda:2")
    assert (runtime.name, runtime.device, loaded) == ("onnxruntime", "cuda:2", ["CUDA"])
    assert (
        choice.select_runtime(True, "auto", "auto", "cuda:2").reason
        == "it has CUDA here, and TensorRT is not here"
    )
    assert OtherSession.last.providers == [(CUDA, {"device_id": "2", "use_tf32": "0"}), CPU]
    OtherSession.took = [CPU]
    with pytest.raises(RuntimeMissing, match="ONNX Runtime could not start on cuda: check that nvidia-smi"):
        open_engine(POSE, "pose")


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ({"has_engine": True}, ("openvino", "cpu", "the first choice on a CPU")),
        ({"has_engine": False}, ("torch", "cpu", "only PyTorch executes a checkpoint as it is")),
        ({"has_engine": True, "device": "npu"}, ("openvino", "npu", "OpenVINO drives Intel's NPUs")),
        ({"has_engine": True, "runtime": "torch"}, ("torch", "cpu", "the device was left open")),
        ({"has_engine": True, "runtime": "torch", "device": "cuda:1"}, ("torch", "cuda:1", "as asked for")),
    ],
)
def test_auto_runtime_choice_gives_reason(arguments, chosen, monkeypatch) -> None:
    monkeypatch.setattr(choice, "_torch_has_cuda", lambda: False)
    monkeypatch.setattr(choice, "_onnxruntime_has_cuda", lambda: False)
    selected = choice.select_runtime(**arguments)
    assert (selected.runtime, selected.device, selected.reason) == chosen


ADA, HOPPER = Gpu("RTX 4090", "sm89", "570"), Gpu("H100", "sm90", "570")


@pytest.mark.parametrize(
    ("gpus", "libraries", "on_cuda", "chosen"),
    [
        (
            [ADA],
            {"tensorrt", "tensorrt_rtx", "openvino", "torch"},
            set(),
            ("tensorrt", "cuda", "RTX 4090 and TensorRT are here"),
        ),
        ([ADA], {"tensorrt_rtx", "torch"}, set(), ("tensorrt", "cuda", "RTX 4090 and TensorRT are here")),
        (
            [ADA],
            {"tensorrt_rtx", "onnxruntime"},
            {"onnxruntime"},
            ("onnxruntime", "cuda", "it has CUDA here, and TensorRT needs PyTorch, which is not here"),
        ),
        (
            [HOPPER],
            {"tensorrt_rtx", "openvino", "torch"},
            {"torch"},
            ("torch", "cuda", "it has CUDA here, and TensorRT for RTX has no code for H100"),
        ),
        (
            [HOPPER],
            {"openvino", "torch"},
            {"torch", "onnxruntime"},
            ("onnxruntime", "cuda", "it has CUDA here, and TensorRT is not here"),
        ),
        (
            [HOPPER],
            {"tensorrt_rtx", "openvino"},
            set(),
            ("openvino", "cpu", "the first choice on a CPU; no library here drives the H100"),
        ),
        ([], {"tensorrt", "openvino"}, {"onnxruntime"}, ("openvino", "cpu", "the first choice on a CPU")),
        ([], {"onnxruntime"}, set(), ("onnxruntime", "cpu", "OpenVINO is not here")),
        ([], set(), set(), ("torch", "cpu", "neither OpenVINO nor ONNX Runtime is here")),
    ],
)
def test_auto_runtime_falls_back_by_gpu_and_installed_libraries(
    gpus, libraries, on_cuda, chosen, monkeypatch
) -> None:
    """`on_cuda` are those of ONNX Runtime and PyTorch that were built for it."""
    monkeypatch.setattr(choice, "nvidia_gpus", lambda: gpus)
    monkeypatch.setattr(choice, "find_spec", lambda name: name if name in libraries else None)
    monkeypatch.setattr(choice, "_onnxruntime_has_cuda", lambda: "onnxruntime" in on_cuda)
    monkeypatch.setattr(choice, "_torch_has_cuda", lambda: "torch" in on_cuda)
    selected = choice.select_runtime(has_engine=True)
    assert (selected.runtime, selected.device, selected.reason) == chosen


def test_auto_runtime_checks_selected_gpu(monkeypatch) -> None:
    monkeypatch.setattr(choice, "nvidia_gpus", lambda: [HOPPER, ADA])
    monkeypatch.setattr(
        choice, "find_spec", lambda name: name if name in ("tensorrt_rtx", "torch") else None
    )
    monkeypatch.setattr(choice, "_onnxruntime_has_cuda", lambda: False)
    monkeypatch.setattr(choice, "_torch_has_cuda", lambda: True)
    assert choice.select_runtime(True, device="cuda:0").runtime == "torch"
    assert choice.select_runtime(True, device="cuda:1").runtime == "tensorrt"
    with pytest.raises(RuntimeMissing, match=r"`device` cuda:2: the driver sees 2, from cuda:0 on"):
        choice.select_runtime(True, device="cuda:2")


def test_auto_runtime_int8_stays_on_cpu_unless_cuda_is_requested(
    monkeypatch,
) -> None:
    monkeypatch.setattr(choice, "nvidia_gpus", lambda: [HOPPER])
    monkeypatch.setattr(choice, "find_spec", lambda name: name if name == "openvino" else None)
    monkeypatch.setattr(choice, "_onnxruntime_has_cuda", lambda: False)
    monkeypatch.setattr(choice, "_torch_has_cuda", lambda: True)
    assert choice.select_runtime(True, precision="int8").runtime == "openvino"
    assert choice.select_runtime(True, has_checkpoint=False).runtime == "openvino"
    with pytest.raises(BadInput, match="torch on cuda computes in fp16 or bf16 or fp32, not in int8"):
        choice.select_runtime(True, precision="int8", device="cuda")


@pytest.mark.parametrize(
    ("format", "libs", "words"),
    [
        (
            "",
            ("torch",),
            r"no TensorRT for this GPU is here: pip install -e '\.\[tensorrt\]' in the checkout, or use",
        ),
        (
            "tensorrt-rtx",
            (),
            r"runs on memory of PyTorch's, which is not here: pip install -e '\.\[tens",
        ),
        (
            "tensorrt",
            ("torch",),
            r"TensorRT does not load .*: pip install -e '\.\[tensorrt\]' in the checkout",
        ),
    ],
)
def test_missing_tensorrt_or_pytorch_raises_before_engine_build(format, libs, words, monkeypatch) -> None:
    monkeypatch.setattr(trt_library, "find_spec", lambda name: name if name in libs else None)
    monkeypatch.setattr(trt_library, "nvidia_gpus", lambda: [ADA])
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(open_model, "tensorrt_format", lambda number: format)
    request = choice.RuntimeChoice("tensorrt", "cuda", "fp16", "")
    with pytest.raises(RuntimeMissing, match=words):
        open_model.ensure_engine(find_model("hrnet-w16-lite", "pose"), "pose", request)


def test_tensorrt_without_gpu_raises_runtime_missing(monkeypatch) -> None:
    monkeypatch.setattr(trt_library, "nvidia_gpus", list)
    with pytest.raises(RuntimeMissing, match="TensorRT runs on NVIDIA GPUs, and there is none here: use"):
        trt_library.check_ready("", "cuda")


def test_checkpoint_runs_on_cuda_if_pytorch_has_it(monkeypatch) -> None:
    monkeypatch.setattr(choice, "_torch_has_cuda", lambda: True)
    assert choice.select_runtime(has_engine=False).device == "cuda"


@pytest.mark.parametrize(("runtime", "name"), [("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime")])
def test_corrupt_onnx_raises_bad_input(runtime, name, tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    replace(POSE.spec, sha256="").save(tmp_path / "bad.json")
    with pytest.raises(BadInput, match=rf"bad\.onnx is not a network that {name} can read"):
        open_engine(find_model(str(tmp_path / "bad.onnx"), "pose"), "pose", runtime)


def test_openvino_xml_runs_only_on_openvino(tmp_path: Path) -> None:
    import openvino

    openvino.save_model(
        openvino.Core().read_model(POSE.engine), tmp_path / "mine.xml", compress_to_fp16=False
    )
    replace(POSE.spec, sha256="", format="openvino").save(tmp_path / "mine.json")
    mine = find_model(str(tmp_path / "mine.xml"), "pose")
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 192, 3), np.uint8)
    answers = []
    for model in (POSE, mine):
        runtime, _ = open_engine(model, "pose", "openvino", "fp32", threads=1)
        answers.append(runtime.infer(crops).copy())
        runtime.close()
    np.testing.assert_allclose(*answers, atol=1e-5)
    with pytest.raises(BadInput, match="is an engine for openvino: use `runtime` openvino"):
        open_engine(mine, "pose", "onnxruntime")
