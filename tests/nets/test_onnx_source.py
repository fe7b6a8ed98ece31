"""ONNX files made elsewhere: what they are, what they need, and that they run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from hrpose_rt.cli.main import build_app
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.export.verify import NO_BOXES
from hrpose_rt.nets.onnx_source import IMAGENET, NetworkHints, OnnxSource, describe, task_of
from hrpose_rt.nets.spec import Normalization
from hrpose_rt.nets.zoo import find_model, spec_of_checkpoint
from hrpose_rt.networks import open_detector, open_networks, open_pose
from hrpose_rt.timing import StageClock
from tests import onnx_files

BOX = (40, 40, 80, 120)


@pytest.fixture(autouse=True)
def engines(tmp_path, monkeypatch):
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))


def said_of(path, task="pose", **hints):
    said: list[str] = []
    return describe(path, task, "0", NetworkHints(**hints), said.append), said


def test_simcc_network_is_recognised_by_its_two_outputs(tmp_path) -> None:
    spec, said = said_of(onnx_files.simcc(tmp_path / "rtm.onnx"))
    assert (spec.decode, spec.heatmap_hw, spec.input_hw) == ("simcc", (128, 128), (64, 64))
    assert (spec.skeleton, spec.normalization, spec.max_batch) == ("coco17", IMAGENET, 0)
    assert len(said) == 1 and "nothing says how rtm.onnx was trained: simcc and the usual norm" in said[0]


@pytest.mark.parametrize(("joints", "skeleton"), [(16, "mpii16"), (26, "halpe26"), (133, "wholebody133")])
def test_number_of_joints_names_the_skeleton(joints, skeleton, tmp_path) -> None:
    assert said_of(onnx_files.simcc(tmp_path / "a.onnx", joints))[0].skeleton == skeleton


@pytest.mark.parametrize(
    ("name", "hints", "decode"),
    [
        ("a.onnx", {}, "quarter"),
        ("a_udp.onnx", {}, "udp"),
        ("a.onnx", {"preset": "vitpose"}, "udp"),
        ("a.onnx", {"preset": "simplebaseline"}, "quarter"),
        ("a.onnx", {"preset": "vitpose", "decode": "dark"}, "dark"),
    ],
)
def test_decoding_of_heatmaps_comes_from_hints_preset_or_name(name, hints, decode, tmp_path) -> None:
    spec, said = said_of(onnx_files.heatmaps(tmp_path / name), **hints)
    assert (spec.decode, spec.heatmap_hw) == (decode, (16, 16))
    assert bool(said) == ("preset" not in hints)


def test_toml_file_beside_describes_the_network(tmp_path) -> None:
    path = onnx_files.heatmaps(tmp_path / "mine.onnx", joints=17, hw=("h", "w"))
    (tmp_path / "mine.toml").write_text(
        'decode = "dark"\nskeleton = "ap10k17"\ninput_hw = [96, 64]\nchannels = "bgr"\n'
        "mean = [0, 0, 0]\nstd = [255, 255, 255]\n"
    )
    spec, said = said_of(path)
    assert (spec.decode, spec.skeleton, spec.input_hw) == ("dark", "ap10k17", (96, 64))
    assert spec.normalization == Normalization((0, 0, 0), (255, 255, 255), "bgr") and not said
    (tmp_path / "mine.toml").write_text("men = 3")
    with pytest.raises(BadInput, match=r"mine\.toml does not describe a network \(men means noth"):
        said_of(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('decode = "sharp"', "decode: expected str matching"),
        ('channels = "xyz"', "channels: expected str matching"),
        ("mean = [1, 2, 3]", "mean and std go together"),
    ],
)
def test_toml_file_with_a_wrong_value_is_named(content, words, tmp_path) -> None:
    path = onnx_files.heatmaps(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text(content)
    with pytest.raises(BadInput, match=rf"mine\.toml does not describe a network .*{words}"):
        said_of(path)


def test_images_reach_the_network_normalised_in_its_order_of_channels(tmp_path) -> None:
    node = helper.make_node("Identity", ["input"], ["out"])
    source = OnnxSource(onnx_files.write(tmp_path / "same.onnx", [node], ["out"]))
    images = np.zeros((1, *onnx_files.HW, 3), np.uint8)
    images[...] = (10, 20, 40)  # blue, green, red
    (rgb,) = source.infer(images, Normalization((10, 10, 10), (2, 5, 10)))
    assert rgb[0, :, 5, 5].tolist() == [15, 2, 0]
    (bgr,) = source.infer(images, Normalization((10, 10, 10), (2, 5, 10), "bgr"))
    assert bgr[0, :, 5, 5].tolist() == [0, 2, 3]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("make", [onnx_files.simcc, onnx_files.heatmaps])
@pytest.mark.parametrize("batch", ["batch", 1])
def test_network_made_elsewhere_finds_the_spot_in_each_crop(runtime, make, batch, tmp_path) -> None:
    path = make(tmp_path / "net.onnx", batch=batch)
    settings = Settings(pose=str(path), runtime=runtime, precision="fp32", threads=1)
    image = np.zeros((200, 300, 3), np.uint8)
    image[77:84, 57:64] = image[77:84, 157:164] = 255
    boxes = np.array([BOX, np.add(BOX, (100, 0, 100, 0)), BOX], np.float32)
    estimator, info = open_pose(settings, lambda _: None)
    with estimator:
        estimator.warm_up()
        poses = estimator.estimate(image, boxes, StageClock())
    expected = [[[x, 80]] * 17 for x in (60, 160, 60)]
    np.testing.assert_allclose(poses.keypoints, expected, atol=5)  # a cell of the heatmaps has six pixels
    assert info.model == "net" and info.runtime == runtime


@pytest.mark.parametrize("input", ["input", "images"])  # Ultralytics and YOLOX call it images
def test_detector_made_elsewhere_finds_the_person(input, tmp_path) -> None:
    path = onnx_files.boxes(tmp_path / "yolo.onnx", input=input)
    assert task_of(path) == "detection"
    detector, _ = open_detector(Settings(detector=str(path), precision="fp32", threads=1), lambda _: None)
    with detector:
        found = detector.detect(np.full((64, 64, 3), 255, np.uint8), StageClock())
        assert not len(detector.detect(np.zeros((64, 64, 3), np.uint8), StageClock()))
    np.testing.assert_allclose(found.boxes, [[22, 12, 42, 52]], atol=0.1)


@pytest.mark.parametrize(
    ("make", "task", "form"),
    [
        (onnx_files.simcc, "pose", {}),
        (onnx_files.simcc, "pose", {"batch": 1}),
        (onnx_files.heatmaps, "pose", {"joints": 26}),
        (onnx_files.boxes, "detection", {}),
    ],
)
def test_network_is_not_opened_again_once_there_is_an_engine(
    make, task, form, tmp_path, monkeypatch
) -> None:
    model = find_model(str(make(tmp_path / "net_64x64.onnx", **form)), task)
    first = spec_of_checkpoint(model, task)
    export(replace(model, spec=first), task, ExportRequest("onnx", "fp32", verify=False))
    monkeypatch.setattr("hrpose_rt.nets.onnx_source.open_session", None)  # calling it would fail
    assert spec_of_checkpoint(model, task) == first
    with pytest.raises(TypeError, match="not callable"):
        spec_of_checkpoint(model, task, NetworkHints(input_hw=(96, 96)))
    (engine,) = (tmp_path / "home" / "engines").glob("*.json")
    engine.write_text("{}")
    with pytest.raises(TypeError, match="not callable"):
        spec_of_checkpoint(model, task)


def test_both_networks_may_be_made_elsewhere(tmp_path) -> None:
    pose, detector = onnx_files.simcc(tmp_path / "p.onnx"), onnx_files.boxes(tmp_path / "d.onnx")
    settings = Settings(pose=str(pose), detector=str(detector), preset="rtmpose", threads=1)
    with open_networks(settings, lambda _: None) as networks:
        assert networks.info.pose.decode == "simcc" and networks.skeleton.name == "coco17"


def _strange(tmp_path, **other):
    nodes = [
        helper.make_node("Cast", ["input"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["out"], axes=[1], keepdims=0),
    ]
    return onnx_files.write(tmp_path / "a.onnx", nodes, ["out"], **other)


def _rows_of_boxes(path: Path) -> Path:
    """An output (B, 4096, 85)."""
    weights = {"mix": np.ones((85, 3, 1, 1), np.float32), "shape": np.array([-1, 85, 4096], np.int64)}
    nodes = [
        helper.make_node("Conv", ["input", "mix"], ["maps"]),
        helper.make_node("Reshape", ["maps", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["rows"], perm=[0, 2, 1]),
    ]
    return onnx_files.write(path, nodes, ["rows"], weights=weights)


def test_messages_name_what_does_not_fit(tmp_path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    cases = {
        r"text\.onnx is not a network that ONNX Runtime can read": lambda: said_of(text),
        r"a\.onnx gives \(64, 64\) for a person: a pose network gives heatmaps": lambda: said_of(
            _strange(tmp_path)
        ),
        r"a\.onnx takes tensor\(int32\) .*: a network for images takes one input": lambda: said_of(
            _strange(tmp_path, kind=TensorProto.INT32)
        ),
        r"a\.onnx is an engine and has no a\.json beside it that says what": lambda: said_of(
            _strange(tmp_path, kind=TensorProto.UINT8)
        ),
        r"a\.onnx takes 4 images at a time: export it for 1 or for any": lambda: said_of(
            _strange(tmp_path, batch=4)
        ),
        r"b\.onnx has 21 joints, and nothing says which": lambda: said_of(
            onnx_files.simcc(tmp_path / "b.onnx", 21)
        ),
        r"c\.onnx gives \(17, 16, 16\), which no person detector here does": lambda: said_of(
            onnx_files.heatmaps(tmp_path / "c.onnx"), "detection"
        ),
        r"f\.onnx gives a row for each box \(4096, 85\), as YOLOX does": lambda: said_of(
            _rows_of_boxes(tmp_path / "f.onnx"), "detection"
        ),
        r"e\.onnx gives heatmaps, which this `preset` does not fit": lambda: said_of(
            onnx_files.heatmaps(tmp_path / "e.onnx"), preset="rtmpose"
        ),
        r"there is no `preset` rtm: choose rtmpose, vitpose": lambda: Settings(preset="rtm"),
        r"is an ONNX file, which `runtime` torch cannot execute": lambda: open_pose(
            Settings(pose=str(onnx_files.simcc(tmp_path / "d.onnx")), runtime="torch"), lambda _: None
        ),
    }
    for words, call in cases.items():
        with pytest.raises(BadInput, match=words):
            call()


def test_other_input_size_of_a_fixed_network_raises_bad_input(tmp_path) -> None:
    path = onnx_files.simcc(tmp_path / "a.onnx")
    with pytest.raises(BadInput, match="is an engine for 64x64 and no other `input_hw`"):
        open_pose(Settings(pose=str(path), input_hw=(96, 96)), lambda _: None)


def test_find_model_takes_an_onnx_file_without_spec_as_made_elsewhere(tmp_path) -> None:
    model = find_model(str(onnx_files.simcc(tmp_path / "a.onnx")), "pose")
    assert model.is_onnx and model.engine is None and model.spec is None


def test_cli_exports_a_network_made_elsewhere_in_every_format(tmp_path, capfd) -> None:
    pose, detector = onnx_files.simcc(tmp_path / "p.onnx", opset=13), onnx_files.boxes(tmp_path / "d.onnx")
    how = ["--format", "onnx,openvino", "--output", str(tmp_path / "out"), "--precision", "fp32"]
    for model, preset in ((pose, "rtmpose"), (detector, "ultralytics")):
        build_app()(["export", str(model), "--preset", preset, *how], standalone_mode=False)
    files = sorted(
        path.name for path in (tmp_path / "out").glob("*-fp32-*") if path.suffix in (".onnx", ".xml")
    )
    assert [name.split("-")[0] for name in files] == ["d", "d", "p", "p"]
    assert capfd.readouterr().out.count("verified") == 4
    engine = str(tmp_path / "out" / files[-1])
    with open_pose(Settings(pose=engine, precision="fp32", threads=1))[0] as estimator:
        estimator.warm_up()


def test_int8_of_an_old_opset_is_refused_in_one_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("onnx.version_converter.convert_version", _refuse)
    model = find_model(str(onnx_files.simcc(tmp_path / "old.onnx", opset=11)), "pose")
    with pytest.raises(BadInput, match="old has opset 11, and int8 needs 13"):
        export(model, "pose", ExportRequest("onnx", "int8", verify=False))


def _refuse(*_: object) -> None:
    raise RuntimeError("an old attribute")


def test_detector_that_finds_nobody_is_not_called_verified(tmp_path) -> None:
    model = find_model(str(onnx_files.boxes(tmp_path / "blind.onnx", score=0.0)), "detection")
    assert export(model, "detection", ExportRequest("onnx", "fp32")).spec.parity["status"] == NO_BOXES
