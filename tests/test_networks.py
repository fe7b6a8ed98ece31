"""Settings -> networks."""

import shutil

import cv2
import numpy as np
import pytest
import torch

from hrpose_rt import open_model
from hrpose_rt.config import Settings
from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.errors import BadInput, HrposeError
from hrpose_rt.export.examples import packaged_photos
from hrpose_rt.geometry import intersection, iou
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.hrnet_config import W16_LITE
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.networks import open_networks, open_pose
from hrpose_rt.open_model import prefer_int8
from hrpose_rt.paths import models_folder
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.runtimes.open import open_selected
from hrpose_rt.skeleton import find_skeleton
from tests.fakes import fake_networks
from tests.test_skeleton import TOML


def test_networks_facts_name_models_runtime_and_cpu() -> None:
    facts = open_networks(Settings(precision="fp32", threads=1)).info.to_dict()
    assert facts["models"] == {"pose": "hrnet-w16-lite", "detector": "yolo26n-person"}
    assert (facts["runtime"], facts["precision"], facts["threads"]) == ("openvino", "fp32", 1)
    assert (facts["cpu"], facts["cpu_features"]) == (cpu_name(), cpu_features())


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_int8_is_for_both_embedded_networks_and_finds_the_same_people(runtime, photos) -> None:
    people = []
    for precision in ("fp32", "int8"):
        image = cv2.imread(str(photos / "zidane.jpg"))
        with PosePipeline(Settings(runtime=runtime, precision=precision, threads=1)) as pipeline:
            assert pipeline.info.detector.precision == precision
            assert pipeline.info.pose.precision == precision
            people.append(pipeline.process(image).detections.boxes)
    assert len(people[0]) == len(people[1]) == 2
    assert (iou(*people).max(axis=1) > 0.8).all()


@pytest.mark.parametrize(
    ("features", "device", "detector"),
    [
        (["avx512_vnni", "amx_bf16"], "cpu", False),
        (["avx512_vnni", "avx512_bf16"], "cpu", True),
        (["avx512_vnni"], "gpu", False),
    ],
)
def test_auto_takes_int8_for_the_detector_where_it_is_faster_than_16_bits(
    features, device, detector, monkeypatch
) -> None:
    monkeypatch.setattr(open_model, "cpu_features", lambda: features)
    assert prefer_int8(find_model("yolo26n-person", "detection"), "detection", device) == detector
    assert prefer_int8(find_model("hrnet-w16-lite", "pose"), "pose", device)
    monkeypatch.setattr(open_model, "cpu_features", lambda: ["avx2"])
    assert not prefer_int8(find_model("yolo26n-person", "detection"), "detection", device)


def test_networks_reject_more_threads_than_cores() -> None:
    threads = usable_cores() + 1
    with pytest.raises(BadInput, match=f"{threads} threads are asked for: this machine has 1 to"):
        open_networks(Settings(threads=threads))


def test_networks_reject_pose_model_as_detector() -> None:
    with pytest.raises(BadInput, match="a pose network, one for detection is needed here"):
        open_networks(Settings(detector="hrnet-w16-lite"))


def test_networks_run_other_joint_count_with_skeleton_file(tmp_path, photos) -> None:
    net = HRNet(W16_LITE.with_joints(3))
    torch.save(net.state_dict(), tmp_path / "cat.pth")
    (tmp_path / "cat.toml").write_text(TOML)
    settings = Settings(pose=str(tmp_path / "cat.pth"), skeleton=str(tmp_path / "cat.toml"))
    image = cv2.imread(str(photos / "bus.jpg"))
    with PosePipeline(settings) as pipeline:
        result = pipeline.process(image)
        assert result.poses.keypoints.shape[1:] == (3, 2) and result.skeleton.name == "cat"
        assert result.draw(style=DrawStyle(min_score=0)).shape == image.shape
    with pytest.raises(BadInput, match=r"cat\.pth has 3 joints, and nothing says which: name them in a"):
        open_networks(Settings(pose=str(tmp_path / "cat.pth")))
    with pytest.raises(
        BadInput, match=r"hrnet-w16-lite gives heatmaps \(17, 64, 48\), and cat in its spec asks"
    ):
        open_networks(Settings(skeleton=str(tmp_path / "cat.toml")))


@pytest.mark.parametrize(
    ("name", "asked", "size", "decode", "assumed"),
    [
        ("pose_hrnet_w16_128x96.pth", {}, "128x96", "quarter", ""),
        ("w16_128x96_dark.pth", {}, "128x96", "dark", ""),
        ("w16_128x96_udp.pth", {}, "128x96", "udp", ""),
        ("w16_128x96.pth", {}, "128x96", "quarter", "quarter assumed, `decode` can say otherwise"),
        ("w16_128x96.pth", {"decode": "udp"}, "128x96", "udp", ""),
        ("w16_128x96_dark.pth", {"decode": "quarter"}, "128x96", "quarter", ""),
        ("w16_256x192_dark.pth", {"input_hw": (64, 64)}, "64x64", "dark", ""),
        ("mine.pth", {}, "256x192", "quarter", "256x192 and quarter assumed, `input_hw` and `decode` can"),
    ],
)
def test_pose_input_size_and_decode_come_from_settings_or_file_name(
    name, asked, size, decode, assumed, tmp_path
) -> None:
    torch.save(HRNet(W16_LITE).state_dict(), tmp_path / name)
    said: list[str] = []
    how = {"runtime": "torch", "precision": "fp32", "threads": 1}
    with open_pose(Settings(pose=str(tmp_path / name), **how, **asked), said.append)[0] as estimator:
        estimator.warm_up()
        assert f"{estimator.input_hw[0]}x{estimator.input_hw[1]}" == size
    info = open_pose(Settings(pose=str(tmp_path / name), **how, **asked), lambda _: None)[1]
    assert (info.input, info.decode) == (size, decode)
    assert len(said) == bool(assumed) and assumed in "".join(said)


def test_onnxruntime_engine_uses_input_hw_and_decode_of_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    how = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "input_hw": (64, 64)}
    for decode in ("quarter", "udp"):
        torch.save(HRNet(W16_LITE).state_dict(), tmp_path / "mine.pth")
        asked = Settings(pose=str(tmp_path / "mine.pth"), decode=decode, **how)
        estimator, info = open_pose(asked, lambda _: None)
        estimator.warm_up()
        assert (info.input, info.decode, info.runtime) == ("64x64", decode, "onnxruntime")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((100, 100), "`input_hw` 100x100 is no size for a pose network: give HEIGHTxWIDTH in multiples of"),
        ((0, 64), "`input_hw` 0x64 is no size"),
        ((4096, 64), "`input_hw` 4096x64 is no size"),
    ],
)
def test_input_hw_invalid_size_raises_bad_input(size, words) -> None:
    with pytest.raises(BadInput, match=words):
        open_pose(Settings(input_hw=size))


def test_onnx_engine_rejects_other_input_hw(tmp_path) -> None:
    for suffix in (".onnx", ".json"):
        shutil.copy(models_folder() / f"hrnet-w16-lite{suffix}", tmp_path / f"mine{suffix}")
    engine = str(tmp_path / "mine.onnx")
    with pytest.raises(BadInput, match="is an engine for 256x192 and no other `input_hw`: export one for"):
        open_pose(Settings(pose=engine, input_hw=(128, 96)))


def test_spec_skeleton_file_is_found_beside_spec(tmp_path) -> None:
    (tmp_path / "cat.toml").write_text(TOML)
    EngineSpec("cat", "pose", ((256, 192),), "fp32", "0", "cat.toml", (64, 48)).save(tmp_path / "net.json")
    assert find_skeleton(EngineSpec.load(tmp_path / "net.json").skeleton).joints[0] == "tail"


def test_pipeline_on_packaged_photos_finds_people_and_nothing_else() -> None:
    """In the two photos that come with a package; people's boxes are drawn by hand."""
    bus = np.array(
        [[48, 398, 245, 903], [223, 407, 344, 857], [669, 392, 809, 877], [0, 550, 75, 875]], np.float32
    )
    near = np.array([[745, 41, 1147, 714], [150, 200, 1100, 714]], np.float32)
    for photo, people in zip(packaged_photos(), (bus, near), strict=True):
        with PosePipeline() as pipeline:
            found = pipeline.process(photo)
        boxes = found.detections.boxes
        overlap = iou(people, boxes)
        assert overlap.max(axis=1)[:3].min() > 0.6
        assert overlap.max(axis=1).min() > 0.5  # the fourth before the bus is cut off by the edge
        for (x1, y1, x2, y2), points in zip(
            people, found.poses.keypoints[overlap.argmax(axis=1)], strict=True
        ):
            x, y = points[[5, 6]].mean(axis=0)
            assert x1 < x < x2
            assert y1 < y < y1 + 0.6 * (y2 - y1)  # a close-up ends at the waist
        # What is found beyond them lies on them: no box on a bollard.
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        assert (intersection(boxes, people).max(axis=1) / sizes > 0.6).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decode": "udp"}, "`decode` udp does not fit"),
        ({"pose": "no-such-model"}, "no-such-model"),
    ],
)
def test_networks_close_opened_runtimes_when_opening_fails(settings, words, monkeypatch) -> None:
    opened = []

    def remembered(*arguments):
        runtime, spec = open_selected(*arguments)
        opened.append(closed := [])
        close = runtime.close
        monkeypatch.setattr(runtime, "close", lambda: (closed.append(1), close()))
        return runtime, spec

    monkeypatch.setattr("hrpose_rt.open_model.open_selected", remembered)
    with pytest.raises(HrposeError, match=words):
        open_networks(Settings(runtime="onnxruntime", precision="fp32", threads=1, **settings))
    assert opened and all(opened)  # each was closed


def test_networks_are_closed_when_bench_command_fails(monkeypatch, tmp_path) -> None:
    from hrpose_rt.cli import bench_budget as bench_bounded

    networks = fake_networks([0])
    monkeypatch.setattr(bench_bounded, "open_networks", lambda settings: networks)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((48, 64, 3), 128, np.uint8))
    with pytest.raises(BadInput, match="nobody in the photos can be cut out"):
        bench_bounded.bench_bounded(people=tmp_path, frames=40)
    assert networks.detector.closed and networks.estimator.closed
