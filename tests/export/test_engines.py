"""Engines on disk: built once, kept if they are right, found again, and never trusted when altered."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from hrpose_rt.cli.export import in_words
from hrpose_rt.cli.main import build_app
from hrpose_rt.cli.options import parse_hw
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.export import engines, parity
from hrpose_rt.export.engines import export
from hrpose_rt.export.examples import packaged_photos
from hrpose_rt.export.request import PRECISIONS_OF_FORMAT, ExportedEngine, ExportRequest
from hrpose_rt.export.tensorrt import TrtOptions
from hrpose_rt.hardware import Gpu, cpu_features
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.spec import EngineSpec, Task, spec_path
from hrpose_rt.nets.zoo import Model, find_model
from hrpose_rt.networks import open_pose
from hrpose_rt.runtimes.open import open_engine
from tests.nets.test_hrnet import TINY


def checkpoint(folder: Path, config=TINY) -> Model:
    """A network of random weights that takes 64x64 crops, and is sure of no joint."""
    torch.manual_seed(0)
    net = HRNet(config)
    with torch.no_grad():
        net.final_layer.weight *= 0.01
        net.final_layer.bias *= 0
    torch.save(net.state_dict(), folder / "tiny.pth")
    model = find_model(str(folder / "tiny.pth"), "pose")
    spec = EngineSpec("tiny", "pose", ((64, 64),), "fp32", "", "coco17", (16, 16), "dark")
    digest = engines.spec_of_checkpoint(model, "pose").weights_sha256
    replace(spec, weights_sha256=digest).save(spec_path(folder / "tiny.pth"))
    return find_model(str(folder / "tiny.pth"), "pose")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Model:
    return checkpoint(tmp_path_factory.mktemp("tiny"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_engine_is_built_once_with_complete_spec(tiny, tmp_path) -> None:
    messages: list[str] = []
    engine = export(tiny, "pose", ExportRequest(folder=tmp_path), messages.append)
    assert engine.built and messages == ["tracing the network", "comparing with fp32"]
    name = f"tiny-64x64-fp32-{engine.spec.weights_sha256[:8]}"
    assert files(tmp_path) == [f"{name}.json", f"{name}.onnx"]
    spec = EngineSpec.load(tmp_path / f"{name}.json")
    assert spec == engine.spec
    assert (spec.precision, spec.format, spec.input_hw, spec.decode) == ("fp32", "onnx", (64, 64), "dark")
    assert spec.build and spec.build.library == "onnx" and set(spec.layers) == {"fp32"}
    assert spec.parity["status"] == "verified" and spec.parity["crops"] >= 64
    assert not export(tiny, "pose", ExportRequest(folder=tmp_path)).built
    assert export(tiny, "pose", ExportRequest(folder=tmp_path, rebuild=True)).built


def test_engine_hash_mismatch_raises_and_export_rebuilds(tiny, tmp_path) -> None:
    engine = export(tiny, "pose", ExportRequest(folder=tmp_path, verify=False))
    data = bytearray(engine.path.read_bytes())
    data[len(data) // 2] ^= 1
    engine.path.write_bytes(data)
    with pytest.raises(
        BadInput, match=r"tiny.*\.onnx was changed or cut off since it was made: export tiny"
    ):
        open_engine(find_model(str(engine.path), "pose"), "pose")
    assert export(tiny, "pose", ExportRequest(folder=tmp_path, verify=False)).built
    open_engine(find_model(str(engine.path), "pose"), "pose")[0].close()


def test_openvino_engine_hash_covers_bin_file(tiny, tmp_path) -> None:
    engine = export(tiny, "pose", ExportRequest("openvino", "fp32", folder=tmp_path))
    assert engine.path.suffix == ".xml" and engine.spec.parity["status"] == "verified"
    engine.path.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(BadInput, match="was changed or cut off"):
        open_engine(find_model(str(engine.path), "pose"), "pose")


def test_openvino_fp16_engine_on_cpu_raises_bad_input(tiny, tmp_path) -> None:
    engine = export(tiny, "pose", ExportRequest("openvino", "fp16", folder=tmp_path))
    with pytest.raises(
        BadInput, match="openvino on cpu computes in bf16 or fp32 or int8, not in fp16: use"
    ):
        open_engine(find_model(str(engine.path), "pose"), "pose")


def test_engine_beyond_parity_limits_is_removed_unless_keep(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(parity.LIMITS, "fp16", {"p95_px": -1.0})
    with pytest.raises(
        RunBroken, match=r"tiny in fp16 is too far from fp32: p95_px is 0, -1 is allowed. It was"
    ):
        export(tiny, "pose", ExportRequest(precision="fp16", folder=tmp_path))
    assert not [name for name in files(tmp_path) if "fp16" in name]
    engine = export(tiny, "pose", ExportRequest(precision="fp16", folder=tmp_path, keep=True))
    assert engine.spec.parity["kept_although"] == ["p95_px is 0, -1 is allowed"]


def test_int8_engine_is_built_again_for_other_footage(tiny, tmp_path) -> None:
    def int8(format: str, footage: str | None) -> ExportedEngine:
        calibration = None if footage is None else tmp_path / footage
        request = ExportRequest(
            format, "int8", folder=tmp_path / "out", calibration=calibration, verify=False
        )
        return export(tiny, "pose", request)

    for name, count in (("mine", 1), ("yours", 2)):
        (tmp_path / name).mkdir()
        for i, photo in enumerate(packaged_photos()[:count]):
            cv2.imwrite(str(tmp_path / name / f"{i}.jpg"), photo)
    mine = int8("openvino", "mine")
    assert mine.built and not int8("openvino", "mine").built
    yours = int8("openvino", "yours")  # the graph that it is made of is built again, too
    assert yours.built and yours.spec.onnx_sha256 != mine.spec.onnx_sha256
    assert not int8("onnx", "yours").built and not int8("onnx", None).built
    with pytest.raises(BadInput, match="gone does not exist"):
        int8("onnx", "gone")


def test_export_interrupted_leaves_no_partial_engine(tiny, tmp_path) -> None:
    def cut(step: str) -> None:
        if "comparing" in step:
            raise KeyboardInterrupt

    engine = export(tiny, "pose", ExportRequest(folder=tmp_path, verify=False))
    with pytest.raises(KeyboardInterrupt):
        export(tiny, "pose", ExportRequest(precision="fp16", folder=tmp_path), cut)
    assert files(tmp_path) == sorted([engine.path.name, spec_path(engine.path).name])


KILLED = """
import os, signal
from pathlib import Path
from hrpose_rt.export.engines import ExportRequest, export
from hrpose_rt.nets.zoo import find_model
def die(step):
    if "comparing" in step:
        os.kill(os.getpid(), signal.SIGKILL)
export(find_model({0!r}, "pose"), "pose", ExportRequest(folder=Path({1!r})), die)
"""


def test_export_killed_leaves_no_partial_engine(tiny, tmp_path) -> None:
    code = KILLED.format(str(tiny.checkpoint), str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -9
    assert files(tmp_path) == []
    assert export(tiny, "pose", ExportRequest(folder=tmp_path, verify=False)).built


@pytest.mark.slow
def test_export_in_two_processes_builds_engine_once(tiny, tmp_path) -> None:
    command = [sys.executable, "-m", "hrpose_rt", "export", str(tiny.checkpoint), "--output", str(tmp_path)]
    environment = {**os.environ, "COLUMNS": "200"}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    tables = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("was there" in table for table in tables) == [False, True]
    assert all("verified" in table for table in tables)


def test_spec_of_newer_schema_or_other_precision_raises_bad_input(tiny, tmp_path) -> None:
    engine = export(tiny, "pose", ExportRequest(folder=tmp_path, verify=False))
    path = spec_path(engine.path)
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"schema": 9}))
    with pytest.raises(BadInput, match="schema: 9, this version reads up to 2"):
        find_model(str(engine.path), "pose")
    path.write_text(json.dumps(fields | {"precision": "int8"}))
    with pytest.raises(BadInput, match=r"is int8 and not fp32: use `precision` int8, or export another"):
        open_engine(find_model(str(engine.path), "pose"), "pose", precision="fp32")


@pytest.mark.parametrize("format", PRECISIONS_OF_FORMAT)
def test_export_format_accepts_only_its_precisions(format: str) -> None:
    for precision in ("fp32", "fp16", "bf16", "int8"):
        if precision in PRECISIONS_OF_FORMAT[format]:
            ExportRequest(format, precision)
        else:
            with pytest.raises(
                BadInput, match=f"{format} engines are fp32, .*, not {precision}: use `precision`"
            ):
                ExportRequest(format, precision)


def test_export_request_rejects_invalid_format_and_input_size() -> None:
    with pytest.raises(BadInput, match="no `format` 'coreml': choose onnx, openvino, tensorrt"):
        ExportRequest("coreml")
    with pytest.raises(BadInput, match="`input_hw` is HEIGHTxWIDTH in multiples of 32"):
        ExportRequest(input_hw=(100, 100))
    with pytest.raises(BadInput, match="--input-hw wide is no size: give HEIGHTxWIDTH, such as 256x192"):
        parse_hw("wide")
    with pytest.raises(BadInput, match="`workspace` is -1 MiB: give 1 to"):
        ExportRequest(trt=TrtOptions(workspace_mib=-1))
    assert parse_hw("64x32") == (64, 32)


def test_open_pose_builds_engine_once_and_reuses_it(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    messages: list[str] = []
    settings = Settings(pose=str(tiny.checkpoint), precision="fp32")
    estimator, info = open_pose(settings, messages.append)
    estimator.close()
    assert (info.runtime, info.precision) == ("openvino", "fp32")
    assert messages[0] == "tiny, once only: tracing the network"
    assert messages[-1].startswith("tiny-64x64-fp32-") and str(tmp_path / "engines") in messages[-1]
    again: list[str] = []
    open_pose(settings, again.append)[0].close()
    assert again == []


@pytest.mark.slow
@pytest.mark.skipif(
    not {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"} & set(cpu_features()),
    reason="where a CPU has no dot products in int8, libraries add in 16 bits, which overflow",
)
def test_int8_outputs_agree_on_openvino_and_onnxruntime(tiny, tmp_path) -> None:
    engine = export(tiny, "pose", ExportRequest(precision="int8", folder=tmp_path))
    assert set(engine.spec.layers) == {"int8"}
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    answers = []
    for runtime in ("openvino", "onnxruntime"):
        opened, _ = open_engine(find_model(str(engine.path), "pose"), "pose", runtime, "int8")
        assert opened.precision == "int8"
        answers.append(opened.infer(crops).copy())
    spread = np.abs(answers[0]).mean()
    assert np.abs(answers[0] - answers[1]).mean() < 0.05 * spread


@pytest.mark.parametrize(("name", "task"), [("yolo26n-person", "detection"), ("hrnet-w16-lite", "pose")])
def test_int8_embedded_engine_has_uint8_activations(name: str, task: Task) -> None:
    """OpenVINO computes wrong outputs from int8 ones on CPUs without AMX."""
    model = find_model(name, task).in_precision("int8")
    graph = onnx.load(model.engine).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    zero_points = [types[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(zero_points) > 100 and set(zero_points) == {onnx.TensorProto.UINT8}


def test_fp16_embedded_detector_keeps_its_boxes(tmp_path) -> None:
    model = find_model("yolo26n-person", "detection")
    half = export(model, "detection", ExportRequest(precision="fp16", input_hw=(256, 320), folder=tmp_path))
    assert half.spec.parity["matched"] >= 0.95
    assert in_words(half.spec.parity).startswith("verified: ")
    assert half.spec.inputs_hw == ((256, 320),)


RTX = [("fp32", "sm86"), ("fp16", "sm89"), ("bf16", "sm120"), ("int8", "sm89"), ("fp16", "sm75")]


@pytest.mark.parametrize(("precision", "arch"), RTX)
def test_tensorrt_rtx_builds_without_gpu(precision, arch, tiny, tmp_path) -> None:
    pytest.importorskip("tensorrt_rtx")
    request = ExportRequest(
        "tensorrt-rtx", precision, trt=TrtOptions((arch,), max_batch=2), folder=tmp_path, verify=False
    )
    engine = export(tiny, "pose", request)
    assert list(engine.spec.layers) == [precision]
    assert (engine.spec.build.archs, engine.spec.max_batch) == ((arch,), 2)
    again = export(tiny, "pose", request)
    assert not again.built


def test_tensorrt_rtx_unverified_engine_is_verified_once_gpu_exists(tiny, tmp_path, monkeypatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    request = ExportRequest("tensorrt-rtx", "fp32", trt=TrtOptions(("sm89",), max_batch=1), folder=tmp_path)
    assert export(tiny, "pose", request).spec.parity == {"status": "unverified: no GPU here"}
    monkeypatch.setattr(engines, "nvidia_gpus", lambda: [Gpu("RTX 4090", "sm89", "570")])
    compared = parity.Parity({"p95_px": 0.01}, ())
    monkeypatch.setattr(engines.verify, "compare", lambda *_: compared)
    assert export(tiny, "pose", request).spec.parity == {"status": "verified", "p95_px": 0.01}
    assert EngineSpec.load(next(tmp_path.glob("*rtx*.json"))).parity["status"] == "verified"


def test_export_announces_assumed_decode_of_unknown_checkpoint(tmp_path) -> None:
    texts: list[str] = []
    torch.save(HRNet(TINY).state_dict(), tmp_path / "mine.pth")
    how = [
        "export",
        str(tmp_path / "mine.pth"),
        "--output",
        str(tmp_path),
        "--input-hw",
        "64x64",
        "--no-verify",
    ]

    def exported(*more: str) -> str:
        texts.append(CliRunner().invoke(build_app(), [*how, *more], catch_exceptions=False).output)
        (spec,) = tmp_path.glob("mine-64x64-fp32-*.json")
        return EngineSpec.load(spec).decode

    assert exported() == "quarter"
    assert "nothing says how mine.pth was trained: quarter assumed, `decode` can say otherwise" in texts[0]
    assert exported("--decode", "udp") == "udp"  # the same engine, read in another way
    assert "nothing says" not in texts[1]
    with pytest.raises(BadInput, match="no --decode sharp: choose quarter, dark, udp"):
        exported("--decode", "sharp")
    with pytest.raises(BadInput, match="how hrnet-w16-lite is read is known: leave out --decode"):
        CliRunner().invoke(
            build_app(), ["export", "hrnet-w16-lite", "--decode", "udp"], catch_exceptions=False
        )
