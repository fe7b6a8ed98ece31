"""Names and paths."""

import re
import shutil
import urllib.parse
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.export.verify import reference
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.onnx_source import PRESETS
from hrpose_rt.nets.published import ALIASES, PUBLISHED, Published
from hrpose_rt.nets.published_onnx import PUBLISHED_ONNX, PublishedOnnx
from hrpose_rt.nets.zoo import EMBEDDED, find_model, spec_of_checkpoint
from hrpose_rt.networks import open_pose
from hrpose_rt.paths import fetched_folder, models_folder, sha256
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.skeleton import SKELETONS, find_skeleton
from tests.nets.test_hrnet import TINY
from tests.onnx_files import simcc


@pytest.mark.parametrize(("name", "task"), EMBEDDED.items(), ids=EMBEDDED)
def test_embedded_model_has_engine_card_and_weights_hash_of_spec(name, task) -> None:
    model = find_model(name, task)
    assert model.engine.is_file()
    assert model.spec.model == name
    assert model.spec.weights_sha256 == sha256(model.checkpoint)
    assert (models_folder() / f"{name}.md").is_file()


def test_the_embedded_models_are_at_most_45_megabytes() -> None:
    assert sum(path.stat().st_size for path in models_folder().iterdir()) <= 45e6


def test_onnx_path_needs_spec_json_beside_it(tmp_path) -> None:
    engine = models_folder() / "hrnet-w16-lite.onnx"
    mine = tmp_path / "mine.onnx"
    shutil.copy(engine, mine)
    with pytest.raises(BadInput, match=r"has no mine\.json beside it"):
        open_pose(Settings(pose=str(mine)))
    shutil.copy(engine.with_suffix(".json"), tmp_path / "mine.json")
    model = find_model(str(mine), "pose")
    assert (model.name, model.engine, model.checkpoint) == ("mine", mine, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "hrnet-w17",
            r"no pose model 'hrnet-w17': choose hrnet-w16-lite or hrnet-w32-256x192 .*the path of a .onnx",
        ),
        ("gone.pth", r"gone\.pth does not exist: check the path"),
        ("yolo26n-person", "yolo26n-person is a detection network, one for pose is needed here"),
    ],
)
def test_find_pose_model_rejects_unknown_name_or_detector(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        find_model(name, "pose")


def test_published_models_have_hash_prefix_size_and_decode_in_name() -> None:
    assert len(PUBLISHED) == 14
    for name, model in PUBLISHED.items():
        assert re.fullmatch("[0-9a-f]{8}", model.sha256_prefix), name
        assert f"{model.input_hw[0]}x{model.input_hw[1]}" in model.file_name
        assert model.config.joints == len(SKELETONS[model.skeleton].joints)
        assert (model.decode in ("dark", "udp")) == (model.decode in model.file_name)
    assert set(ALIASES.values()) <= set(PUBLISHED)


@pytest.fixture
def small_world(monkeypatch, tmp_path):
    """A published UDP model whose checkpoint is a tiny one, not fetched yet."""
    torch.manual_seed(0)
    content = {f"backbone.{name}": value for name, value in HRNet(TINY).state_dict().items()}
    head = {name.replace("backbone.", "head."): value for name, value in content.items() if "final" in name}
    content = {name: value for name, value in content.items() if "final" not in name} | head
    source = tmp_path / "source.pth"
    torch.save({"meta": {"sigmas": np.zeros(3)}, "state_dict": content}, source)
    name = f"td-hm_tiny-{sha256(source)[:8]}_2022.pth"
    url = (source.parent / name).as_uri()
    source.rename(source.parent / name)
    model = Published("tiny-udp", url, TINY, (64, 64), "coco17", "udp", "AP 0")
    monkeypatch.setitem(PUBLISHED, "tiny-udp", model)
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    return model


def test_published_model_is_downloaded_once_with_udp_spec(small_world) -> None:
    model = find_model("tiny-udp", "pose")
    assert model.checkpoint == fetched_folder() / small_world.file_name
    assert (model.spec.decode, model.spec.input_hw, model.spec.heatmap_hw) == ("udp", (64, 64), (16, 16))
    small_world_source = Path(urllib.parse.urlparse(small_world.url).path)
    small_world_source.unlink()
    assert find_model("tiny-udp", "pose").spec == model.spec


def test_published_checkpoint_is_recognised_by_hash_under_any_name(small_world, tmp_path) -> None:
    mine = tmp_path / "mine.pth"
    shutil.copy(find_model("tiny-udp", "pose").checkpoint, mine)
    assert find_model(str(mine), "pose").spec.decode == "udp"


@pytest.mark.parametrize("network", PUBLISHED_ONNX.values(), ids=PUBLISHED_ONNX)
def test_published_onnx_network_has_hash_hosts_and_known_values(network) -> None:
    assert re.fullmatch("[0-9a-f]{64}", network.sha256)
    assert all(address.startswith("https://") for address in network.urls)
    assert network.preset in PRESETS and find_skeleton(network.skeleton).joints
    h, w = network.input_hw
    if network.preset == "rtmpose" and "dwpose" not in network.name:
        assert f"-{h}x{w}" in network.urls[0] and len({address[:20] for address in network.urls}) == 2


def test_published_onnx_network_is_fetched_from_an_archive_and_described(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    path = simcc(tmp_path / "end2end.onnx", joints=26)
    with ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.write(path, "20230831/end2end.onnx")
    addresses = ((tmp_path / "gone.zip").as_uri(), (tmp_path / "net.zip").as_uri())
    network = PublishedOnnx("tiny", addresses, sha256(path), (64, 64), "halpe26", "rtmpose", "")
    monkeypatch.setitem(PUBLISHED_ONNX, "tiny", network)
    model = find_model("tiny", "pose")
    spec = spec_of_checkpoint(model, "pose")
    assert (spec.model, spec.skeleton, spec.decode, spec.input_hw) == ("tiny", "halpe26", "simcc", (64, 64))
    (tmp_path / "net.zip").unlink()
    assert find_model("tiny", "pose") == model
    with pytest.raises(BadInput, match=r"this `preset` does not fit|halpe26"):
        open_pose(Settings(pose="tiny", preset="vitpose"))


def test_ultralytics_names_resolve_to_detectors_in_hrpose_home(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    with pytest.raises(BadInput, match="yolo26s is a detection network, one for pose"):
        find_model("yolo26s", "pose")
    (tmp_path / "models").mkdir()
    shutil.copy(models_folder() / "yolo26n-person.pt", tmp_path / "models" / "yolo26s.pt")
    assert find_model("yolo26s", "detection").checkpoint == tmp_path / "models" / "yolo26s.pt"


def test_ultralytics_download_failure_raises_run_broken(monkeypatch, tmp_path) -> None:
    import ultralytics.utils.downloads as downloads

    def offline(path: str) -> None:
        raise ConnectionError("no network")

    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "attempt_download_asset", offline)
    words = r"yolo26s.pt could not be fetched \(no network\): try again, or fetch https://github.com/.*yolo26s.pt"
    with pytest.raises(RunBroken, match=words):
        find_model("yolo26s", "detection")


@pytest.mark.parametrize(("name", "task"), EMBEDDED.items())
def test_embedded_weights_hash_mismatch_raises_bad_input(name, task, tmp_path, monkeypatch) -> None:
    shutil.copytree(models_folder(), tmp_path / "models")
    monkeypatch.setattr("hrpose_rt.nets.zoo.models_folder", lambda: tmp_path / "models")
    model = find_model(name, task)
    assert model.weights() == model.checkpoint
    content = bytearray(model.checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    model.checkpoint.write_bytes(content)
    for using in (lambda: open_engine(model, task, "torch"), lambda: reference(model, model.spec)):
        with pytest.raises(BadInput, match=r"was changed or cut off since it was made: install hrpose-rt"):
            using()


def test_ultralytics_checkpoint_as_pose_network_is_named_as_such(tmp_path) -> None:
    (tmp_path / "yolov8n-pose.pt").write_bytes(b"")
    with pytest.raises(BadInput, match="is an Ultralytics network, which serves as a detector"):
        find_model(str(tmp_path / "yolov8n-pose.pt"), "pose")


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """The folders of an installed wheel, whose models have no checkpoints."""
    installed = tmp_path / "installed"
    keep = shutil.ignore_patterns("*.pth", "*.pt")
    shutil.copytree(models_folder(), installed, ignore=keep)
    monkeypatch.setattr("hrpose_rt.nets.zoo.models_folder", lambda: installed)
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    return installed


@pytest.mark.parametrize(("name", "task"), EMBEDDED.items(), ids=EMBEDDED)
def test_wheel_has_engines_and_says_where_the_checkpoint_is(name, task, wheel, tmp_path) -> None:
    model = find_model(name, task)
    assert model.checkpoint is None and model.in_precision("int8").engine.is_file()
    words = rf"engines of {name} and not the checkpoint.*: put {name}\.pth? from the folder models of"
    with pytest.raises(BadInput, match=words):
        open_engine(model, task, "torch")
    with pytest.raises(BadInput, match="and not the checkpoint"):
        model.weights()
    (file,) = (Path(__file__).parents[2] / "models").glob(f"{name}.pt*")
    fetched_folder().mkdir(parents=True)
    shutil.copy(file, fetched_folder())
    assert find_model(name, task).weights() == fetched_folder() / file.name


def test_wheel_refuses_another_crop_size_in_one_sentence(wheel) -> None:
    with pytest.raises(BadInput, match="engines of hrnet-w16-lite and not the checkpoint"):
        open_pose(Settings(input_hw=(128, 96)))


def test_wheel_exports_other_formats_from_its_own_engine(wheel, tmp_path) -> None:
    order = ExportRequest("openvino", "fp32", folder=tmp_path, verify=False)
    exported = export(find_model("hrnet-w16-lite", "pose"), "pose", order)
    assert exported.path.suffix == ".xml" and exported.spec.input_hw == (256, 192)
    order = ExportRequest("openvino", "fp32", (128, 96), folder=tmp_path, verify=False)
    with pytest.raises(BadInput, match="engines of hrnet-w16-lite and not the checkpoint"):
        export(find_model("hrnet-w16-lite", "pose"), "pose", order)
