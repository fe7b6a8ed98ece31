"""A teacher's heatmaps: stored on disk, and warped into a student's crop."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import AnnotatedPeople, load_people
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines
from hrpose_rt.paths import models_folder
from hrpose_rt.pose.targets import encode
from hrpose_rt.training import distillation as teacher
from hrpose_rt.training.augment import Augmentation, CropTransform, crop_of
from hrpose_rt.training.config import Stage
from hrpose_rt.training.dataset import CropDataset, ImageCache
from hrpose_rt.training.recipes import MODERN
from tests.training.people_set import write_set

HW = (256, 192)


def perfect_maps(people: AnnotatedPeople, folder: Path) -> teacher.TeacherHeatmaps:
    """A teacher who knows where everybody's joints are."""
    centres, sizes = boxes_to_centre_size(people.boxes, HW)
    to_crop = crop_affines(centres, sizes, HW)
    crop_joints = np.einsum("nij,nkj->nki", to_crop[:, :, :2], people.joints) + to_crop[:, None, :, 2]
    heatmaps, _ = encode((crop_joints / 4).astype(np.float32), (64, 48), "dark")
    levels = np.zeros((len(people), 20, 64, 48), np.uint8)
    levels[:, :17] = (heatmaps * 255).round()
    file = folder / "maps.npy"
    np.save(file, levels.reshape(-1, 5, 4, 64, 48).transpose(0, 1, 3, 4, 2))
    return teacher.TeacherHeatmaps(file, people, HW, udp=False)


@pytest.mark.parametrize("hw", [(256, 192), (128, 96)])
@pytest.mark.parametrize("udp", [False, True])
def test_teacher_heatmaps_are_warped_with_crop_transform(tmp_path: Path, hw, udp) -> None:
    people = load_people(write_set(tmp_path))
    maps = perfect_maps(people, tmp_path)
    size, centre = crop_of(people.boxes[2], 0.75)
    transform = CropTransform(centre + 3, size * np.float32(1.1), rotation=0.4, mirrored=True)
    warped = maps.warped(2, transform, hw, udp)
    matrix = transform.to_crop(hw, udp)
    joints = people.joints[2] @ matrix[:, :2].T + matrix[:, 2]
    h, w = hw[0] // 4, hw[1] // 4
    expected = joints * ((w - 1) / (hw[1] - 1) if udp else 0.25)
    for heatmap, (x, y) in zip(warped, expected, strict=True):
        if 2 < x < w - 3 and 2 < y < h - 3:
            peak_y, peak_x = np.unravel_index(heatmap.argmax(), (h, w))
            assert abs(peak_x - x) <= 1 and abs(peak_y - y) <= 1


def test_teacher_heatmaps_fill_joints_without_human_label(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path))
    people.labelled[0, 5] = False
    people.human_labelled[1] = False
    recipe = replace(MODERN, augmentation=Augmentation(flip=1.0), joint_weights=False)
    maps = perfect_maps(people, tmp_path)
    student, images = Stage(HW, 1), ImageCache(2**24)
    taught = CropDataset(people, recipe, student, 0, images, maps)[[(0, 0), (0, 1)]]
    alone = CropDataset(people, recipe, student, 0, images)[[(0, 0), (0, 1)]]
    left, right = 5, 6  # the shoulders, which the mirror exchanges
    assert alone["weights"][0, right] == 0
    assert taught["weights"][0, right] == recipe.machine_weight
    assert taught["weights"][0, left] == 1
    assert (taught["targets"][0, left] == alone["targets"][0, left]).all()
    # A machine's label and the perfect teacher's map say the same.
    assert (taught["targets"][1] - alone["targets"][1]).abs().mean() < 0.004


def test_teacher_bundled_model_runs_once_and_heatmaps_are_cached(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path, people=3))
    images, counts = ImageCache(2**24), []
    arguments = (str(models_folder() / "hrnet-w16-lite.pth"), people, images.read, tmp_path, 1)
    first = teacher.run_teacher(*arguments, counts.append)
    assert sum(counts) == 3
    size, centre = crop_of(people.boxes[0], 0.75)
    assert first.warped(0, CropTransform(centre, size), HW, False).shape == (17, 64, 48)
    teacher.run_teacher(*arguments, counts.append)
    assert sum(counts) == 3
    assert len(list(tmp_path.glob("teacher-*.npy"))) == 1


def write_onnx(path: Path, channels: int, joints: int) -> Path:
    """A network that answers every crop with its first channel at low resolution, for every joint."""
    pool = helper.make_node("AveragePool", ["in"], ["small"], kernel_shape=[4, 4], strides=[4, 4])
    weights = helper.make_tensor(
        "w", TensorProto.FLOAT, [joints, channels, 1, 1], [0.1] * (joints * channels)
    )
    conv = helper.make_node("Conv", ["small", "w"], ["out"])
    graph = helper.make_graph(
        [pool, conv],
        "teacher",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, channels, 64, 64])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, joints, 16, 16])],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_teacher_accepts_foreign_onnx_and_averages_flip_heatmaps(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path, people=3))
    images = ImageCache(2**24)
    maps = teacher.run_teacher(
        str(write_onnx(tmp_path / "t.onnx", 3, 17)), people, images.read, tmp_path, 1, lambda _: None
    )
    size, centre = crop_of(people.boxes[0], 1.0)
    transform = CropTransform(centre, size)
    warped = maps.warped(0, transform, (64, 64), False)
    matrix = transform.to_crop((64, 64), False)
    crop = cv2.warpAffine(images.read(people, 0), matrix, (64, 64))
    rgb = (crop[..., ::-1] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    mean = rgb.sum(axis=2).reshape(16, 4, 16, 4).mean(axis=(1, 3)) * 0.1
    mirrored = np.concatenate([mean[:, :1], mean[:, :-1]], axis=1)
    np.testing.assert_allclose(warped[0], ((mean + mirrored) / 2).clip(0, 1), atol=0.005)


@pytest.mark.parametrize(
    ("channels", "joints", "words"),
    [(3, 5, "finds 5 joints, the data have 17"), (1, 17, "takes normalised RGB")],
)
def test_teacher_with_wrong_joints_or_channels_is_rejected(tmp_path: Path, channels, joints, words) -> None:
    people = load_people(write_set(tmp_path, people=2))
    file = write_onnx(tmp_path / "t.onnx", channels, joints)
    with pytest.raises(BadInput, match=words):
        teacher.run_teacher(str(file), people, ImageCache(2**24).read, tmp_path, 1, lambda _: None)
