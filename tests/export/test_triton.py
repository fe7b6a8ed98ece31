"""Model repositories: what Triton's messages say of them, versions, and the Python backend's program."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8, ModelConfig, ModelInstanceGroup
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.export import triton_backend
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportedEngine, ExportRequest
from hrpose_rt.export.triton import BACKENDS, add_to_repository, model_config
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.runtimes.ort import OnnxRuntime
from hrpose_rt.runtimes.triton import SPEC
from tests.export.test_engines import checkpoint


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> dict[str, ExportedEngine]:
    """A small pose network by format."""
    folder = tmp_path_factory.mktemp("engines")
    model = checkpoint(folder)
    return {
        format: export(model, "pose", ExportRequest(format, folder=folder, verify=False))
        for format in ("onnx", "openvino")
    }


def config_of(folder: Path) -> ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text(), ModelConfig())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("backend", "inside", "kind"),
    [
        ("onnxruntime", ["model.onnx"], ModelInstanceGroup.KIND_AUTO),
        ("openvino", ["model.bin", "model.xml"], ModelInstanceGroup.KIND_CPU),
        ("python", ["model.bin", "model.py", "model.xml"], ModelInstanceGroup.KIND_CPU),
    ],
)
def test_repository_has_engine_and_configuration(backend, inside, kind, engines, tmp_path) -> None:
    engine = engines[BACKENDS[backend].format]
    made = add_to_repository(engine, tmp_path / "repo", backend, max_batch=16)
    assert (made.folder, made.version, made.added) == (tmp_path / "repo" / "tiny", 1, True)
    assert files(made.folder) == [*(f"1/{name}" for name in inside), "config.pbtxt"]
    suffix = engine.path.suffix
    assert (made.folder / "1" / f"model{suffix}").read_bytes() == engine.path.read_bytes()

    config = config_of(made.folder)
    assert (config.name, config.backend, config.max_batch_size) == ("tiny", backend, 16)
    assert config.default_model_filename in inside
    assert config.version_policy.latest.num_versions == 1
    (source,), (target,) = config.input, config.output
    assert (source.name, source.data_type, list(source.dims)) == ("crops", TYPE_UINT8, [64, 64, 3])
    assert (target.name, target.data_type, list(target.dims)) == ("heatmaps", TYPE_FP32, [17, 16, 16])
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, kind)]
    preferred = list(config.dynamic_batching.preferred_batch_size)
    assert preferred == ([4, 8] if kind == ModelInstanceGroup.KIND_CPU else [2, 4, 8, 12, 16])
    warm = {(w.batch_size, tuple(w.inputs["crops"].dims)) for w in config.model_warmup}
    assert warm == {(batch, (64, 64, 3)) for batch in (1, *preferred)}
    spec = EngineSpec.parse(config.parameters[SPEC].string_value.encode())
    assert spec == engine.spec
    padding = {"ENABLE_BATCH_PADDING"} if backend == "openvino" else set()
    assert config.parameters.keys() == {SPEC} | padding


def test_detector_takes_every_size_and_prefers_no_batch() -> None:
    model = find_model("yolo26n-person", "detection")
    config = model_config(ExportedEngine(model.engine, model.spec, False), "people", "onnxruntime", 8)
    assert list(config.input[0].dims) == [-1, -1, 3] and list(config.output[0].dims) == [5, -1]
    assert config.HasField("dynamic_batching") and not config.dynamic_batching.preferred_batch_size
    sizes = [tuple(warm.inputs["image"].dims)[:2] for warm in config.model_warmup]
    assert tuple(sizes) == model.spec.inputs_hw


@pytest.mark.parametrize(
    ("backend", "task", "largest"),
    [
        ("onnxruntime", "pose", 64),
        ("python", "detection", 16),
        ("openvino", "pose", 8),
        ("openvino", "detection", 1),
    ],
)
def test_largest_batch_depends_on_backend_and_task(backend, task, largest) -> None:
    name = "hrnet-w16-lite" if task == "pose" else "yolo26n-person"
    model = find_model(name, task)
    config = model_config(ExportedEngine(model.engine, model.spec, False), name, backend, max_batch=0)
    assert config.max_batch_size == largest


@pytest.mark.parametrize(
    ("task", "names", "dims"),
    [("pose", ("crops", "heatmaps"), [17, 64, 48]), ("detection", ("image", "boxes"), [-1, -1])],
)
def test_tensorrt_engine_is_described_without_a_gpu(task, names, dims, tmp_path) -> None:
    spec = EngineSpec(
        "net", task, ((256, 192),), "fp16", "", "coco17", (64, 48), format="tensorrt", max_batch=32
    )
    engine = ExportedEngine(tmp_path / "net.engine", spec, True)
    engine.path.write_bytes(b"plan")
    made = add_to_repository(engine, tmp_path / "repo", "tensorrt", max_batch=0)
    assert files(made.folder) == ["1/model.plan", "config.pbtxt"]
    config = config_of(made.folder)
    assert (config.input[0].name, config.output[0].name) == names
    assert list(config.input[0].dims) == [256, 192, 3] and list(config.output[0].dims) == dims
    assert config.instance_group[0].kind == ModelInstanceGroup.KIND_GPU
    assert list(config.instance_group[0].profile) == list("01234567")  # up to 32
    assert config.max_batch_size == 32
    with pytest.raises(BadInput, match=r"`max_batch` is 33: net\.engine takes batches of 1 to 32"):
        add_to_repository(engine, tmp_path / "repo", "tensorrt", max_batch=33)


def test_another_engine_is_the_next_version_and_changes_by_hand_stay(engines, tmp_path) -> None:
    engine = engines["onnx"]
    first = add_to_repository(engine, tmp_path, "onnxruntime", 16)
    path = first.folder / "config.pbtxt"
    path.write_text(path.read_text().replace("count: 1", "count: 3"))
    assert add_to_repository(engine, tmp_path, "onnxruntime", 16) == replace(first, added=False)

    other = replace(engine, spec=replace(engine.spec, sha256="b2"))
    second = add_to_repository(other, tmp_path, "onnxruntime", 16)
    assert (second.version, second.added) == (2, True)
    assert files(first.folder) == ["1/model.onnx", "2/model.onnx", "config.pbtxt"]
    config = config_of(first.folder)
    assert config.instance_group[0].count == 3
    assert json.loads(config.parameters[SPEC].string_value)["sha256"] == "b2"

    third = add_to_repository(engine, tmp_path, "onnxruntime", 4, overwrite=True)
    assert third.version == 3 and files(first.folder) == ["3/model.onnx", "config.pbtxt"]
    config = config_of(first.folder)
    assert (config.instance_group[0].count, config.max_batch_size) == (1, 4)


def test_model_that_is_there_and_does_not_fit_is_kept(engines, tmp_path) -> None:
    made = add_to_repository(engines["onnx"], tmp_path, "onnxruntime", 16)
    path = made.folder / "config.pbtxt"
    with pytest.raises(
        BadInput, match="tiny has another backend than this engine: choose another `output`"
    ):
        add_to_repository(engines["openvino"], tmp_path, "python", 16)
    text = path.read_text()
    path.write_text(text.replace("hrpose_spec", "theirs"))
    with pytest.raises(BadInput, match="tiny holds a model of another program: choose another `output`"):
        add_to_repository(engines["onnx"], tmp_path, "onnxruntime", 16)
    path.write_text("nonsense { ")
    with pytest.raises(
        BadInput, match=r"config\.pbtxt cannot be read \(.*\): repair it, or add `overwrite`"
    ):
        add_to_repository(engines["onnx"], tmp_path, "onnxruntime", 16)
    assert files(made.folder) == ["1/model.onnx", "config.pbtxt"]
    assert add_to_repository(engines["onnx"], tmp_path, "onnxruntime", 16, overwrite=True).version == 2


def test_skeleton_file_is_named_without_its_folder(engines) -> None:
    engine = engines["onnx"]
    engine = replace(engine, spec=replace(engine.spec, skeleton="/home/me/hand.toml"))
    config = model_config(engine, "hand", "onnxruntime", 4)
    assert json.loads(config.parameters[SPEC].string_value)["skeleton"] == "hand.toml"


def test_unknown_backend_and_missing_library_are_one_sentence(engines, tmp_path, monkeypatch) -> None:
    with pytest.raises(
        BadInput, match="there is no `backend` torch: choose onnxruntime, openvino, tensorrt"
    ):
        add_to_repository(engines["onnx"], tmp_path, "torch", 4)
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(
        RuntimeMissing, match=r"Triton needs tritonclient \(.*\): pip install -e '\.\[triton\]'"
    ):
        add_to_repository(engines["onnx"], tmp_path, "onnxruntime", 4)


def test_export_command_fills_the_repository(tmp_path) -> None:
    model = checkpoint(tmp_path)
    command = ["export", str(model.checkpoint), "--format", "triton", "--no-verify"]
    command += ["--output", str(tmp_path / "repo")]
    for words, version in (([], "version 1"), ([], "version 1 was there"), (["--overwrite"], "version 2")):
        done = CliRunner().invoke(
            build_app(), [*command, "--max-batch", "4", *words], catch_exceptions=False
        )
        assert done.exit_code == 0 and done.output.splitlines()[-1].endswith(f"repo/tiny: {version}")
    assert files(tmp_path / "repo" / "tiny") == ["2/model.onnx", "config.pbtxt"]
    assert config_of(tmp_path / "repo" / "tiny").max_batch_size == 4
    with pytest.raises(BadInput, match="needs the folder of the model repository: add --output"):
        CliRunner().invoke(build_app(), command[:-2], catch_exceptions=False)
    command[3] = "onnx,triton"
    with pytest.raises(BadInput, match="--format onnx,triton: triton stands alone, export the others by"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)


class Request:
    """A request of Triton's Python backend with one tensor."""

    def __init__(self, batch: np.ndarray) -> None:
        self.batch = batch


def backend_utils() -> SimpleNamespace:
    """The part of `triton_python_backend_utils` that the program uses."""
    return SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: SimpleNamespace(as_numpy=lambda: request.batch),
        Tensor=lambda name, values: (name, values.copy()),
        InferenceResponse=lambda tensors: tensors,
    )


def test_python_backend_computes_joined_requests_as_onnxruntime_does(
    engines, tmp_path, monkeypatch
) -> None:
    made = add_to_repository(engines["openvino"], tmp_path, "python", 16)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend_utils())
    namespace = {"__file__": str(made.folder / "1" / "model.py"), "__name__": "model"}
    exec((made.folder / "1" / "model.py").read_text(), namespace)
    program = namespace["TritonPythonModel"]()
    config = {
        "input": [{"name": "crops"}],
        "output": [{"name": "heatmaps"}],
        "parameters": {SPEC: {"string_value": config_of(made.folder).parameters[SPEC].string_value}},
    }
    program.initialize({"model_config": json.dumps(config)})

    crops = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    reference = OnnxRuntime(engines["onnx"].path, threads=1)
    for parts in ([crops], [crops[:1], crops[1:4], crops[4:]]):
        answers = program.execute([Request(part) for part in parts])
        assert [name for ((name, _),) in answers] == ["heatmaps"] * len(parts)
        outputs = [values for ((_, values),) in answers]
        assert [len(values) for values in outputs] == [len(part) for part in parts]
        np.testing.assert_allclose(np.concatenate(outputs), reference.infer(crops), atol=1e-4)
    assert triton_backend.PRECISION_HINTS.keys() == {"fp32", "bf16", "fp16", "int8"}
