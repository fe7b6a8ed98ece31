"""Files that settings name arrive on another machine."""

import json
from pathlib import Path

import pytest

from hrpose_rt.batch.parcel import pack, unpack
from hrpose_rt.config import Settings
from hrpose_rt.nets.zoo import DEFAULT_POSE, find_model


@pytest.fixture
def network(tmp_path) -> Path:
    """An engine with its spec in a folder of its own, beside another one."""
    engine = find_model(DEFAULT_POSE, "pose").engine
    assert engine
    for name, suffix in (
        ("mine", ".onnx"),
        ("mine", ".json"),
        ("mine-int8", ".onnx"),
        ("mine-int8", ".json"),
    ):
        (tmp_path / f"{name}{suffix}").write_bytes(engine.with_suffix(suffix).read_bytes())
    (tmp_path / "mine-other.onnx").write_bytes(b"another network")
    return tmp_path / "mine.onnx"


def test_networks_and_regions_arrive_with_all_their_files(network, tmp_path, monkeypatch) -> None:
    region = tmp_path / "door.json"
    region.write_text(json.dumps([[0, 0], [9, 0], [9, 9]]))
    parcel = pack(Settings(pose=str(network), region=str(region), det_score=0.5))
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "elsewhere"))
    there = unpack(parcel)
    assert Path(there.pose).parents[2] == tmp_path / "elsewhere"
    names = {path.name for path in Path(there.pose).parent.iterdir()}
    assert names == {"mine.onnx", "mine.json", "mine-int8.onnx", "mine-int8.json"}
    assert Path(there.pose).read_bytes() == network.read_bytes()
    assert Path(there.region).read_text() == region.read_text()
    assert (there.det_score, there.detector) == (0.5, Settings().detector)


def test_same_files_are_written_once_and_others_to_another_folder(network, tmp_path, monkeypatch) -> None:
    parcel = pack(Settings(pose=str(network)))
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "elsewhere"))
    first = Path(unpack(parcel).pose)
    written = first.stat().st_mtime_ns
    assert Path(unpack(parcel).pose) == first and first.stat().st_mtime_ns == written
    network.write_bytes(network.read_bytes() + b"\0")
    assert unpack(pack(Settings(pose=str(network)))).pose != str(first)


def test_networks_fetched_by_name_go_where_they_are_looked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "here"))
    (tmp_path / "here" / "models").mkdir(parents=True)
    (tmp_path / "here" / "models" / "yolo26n.pt").write_bytes(b"weights")
    parcel = pack(Settings(detector="yolo26n"))
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "there"))
    assert unpack(parcel).detector == "yolo26n"
    assert (tmp_path / "there" / "models" / "yolo26n.pt").read_bytes() == b"weights"
