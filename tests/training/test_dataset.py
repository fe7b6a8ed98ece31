"""Training batches: crops, target heatmaps and weights, and augmentation that depends only on its seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import load_people
from hrpose_rt.training.augment import Augmentation
from hrpose_rt.training.config import Stage
from hrpose_rt.training.dataset import CropDataset, ImageCache, epoch_rows, load, plan
from hrpose_rt.training.recipes import MODERN, ORIGINAL
from tests.training.people_set import write_set

STAGE = Stage((64, 64), 1)
PLAIN = replace(ORIGINAL, augmentation=Augmentation(flip=0), targets="dark")


def dataset(folder: Path, recipe=PLAIN, stage=STAGE, seed: int = 0, people=None, **more) -> CropDataset:
    people = people or load_people(write_set(folder))
    return CropDataset(people, recipe, stage, seed, ImageCache(2**24), **more)


@pytest.mark.parametrize("targets", ["classic", "dark", "udp"])
@pytest.mark.parametrize("augmentation", [Augmentation(flip=0), MODERN.augmentation])
def test_dataset_heatmap_targets_lie_on_joints(tmp_path: Path, targets, augmentation) -> None:
    recipe = replace(MODERN, targets=targets, augmentation=replace(augmentation, colour=0, cutout=0))
    people = load_people(write_set(tmp_path))
    batch = dataset(tmp_path, recipe, Stage((256, 192), 1), people=people)[[(0, i) for i in range(12)]]
    crops, maps, weights = (batch[name].numpy() for name in ("crops", "targets", "weights"))
    levels = []
    for crop, person_maps, person_weights in zip(crops, maps, weights, strict=True):
        # Which pixel of the crop is that of a heatmap's row or column.
        at = [np.arange(n) * ((4 * n - 1) / (n - 1) if targets == "udp" else 4) for n in (64, 48)]
        rows, columns = (line.round().astype(int) for line in at)
        small = crop.max(axis=2)[np.ix_(rows, columns)]
        for heatmap, weight in zip(person_maps, person_weights, strict=True):
            y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
            if weight > 0 and heatmap.max() > 0.9 and 2 < x < 45 and 2 < y < 61:
                levels.append(small[y, x])
    assert len(levels) > 60
    assert np.mean(np.array(levels) > 90) > 0.95  # dots are brighter than the noise between them


def test_dataset_flip_swaps_left_and_right_heatmaps(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path))
    always = replace(PLAIN, augmentation=Augmentation(flip=1.0))
    plain, mirrored = (dataset(tmp_path, r, people=people)[[(0, 0)]]["targets"][0] for r in (PLAIN, always))
    # Wi/2 mirrors on itself: a map's column x becomes 16 - x.
    unmirrored = torch.flip(mirrored[:, :, 1:], dims=[2])
    assert (unmirrored - plain[people.skeleton.flip_order(), :, 1:]).abs().max() < 1e-4


@pytest.mark.parametrize(("squared", "power"), [(False, 1), (True, 2)])  # the original's enter squared
def test_dataset_weights_of_unlabelled_machine_and_hard_joints(tmp_path: Path, squared, power) -> None:
    people = load_people(write_set(tmp_path))
    people.labelled[0, :3] = False
    people.human_labelled[1] = False
    recipe = replace(PLAIN, joint_weights=True, machine_weight=0.25, squared_weights=squared)
    weights = dataset(tmp_path, recipe, people=people)[[(0, 0), (0, 1)]]["weights"].numpy()
    joints = list(people.skeleton.joints)
    assert weights[0, :3].tolist() == [0, 0, 0]
    assert weights[0, joints.index("left_shoulder")] == 1
    assert weights[0, joints.index("left_elbow")] == pytest.approx(1.2**power)
    assert weights[1, joints.index("right_ankle")] == pytest.approx(0.25 * 1.5**power)


def test_dataset_edge_cut_blacks_image_and_drops_joint_weights(tmp_path: Path) -> None:
    recipe = replace(PLAIN, augmentation=Augmentation(flip=0, cut=1.0))
    people = load_people(write_set(tmp_path))
    cut = dataset(tmp_path, recipe, people=people)[[(0, i) for i in range(12)]]
    uncut = dataset(tmp_path, PLAIN, people=people)[[(0, i) for i in range(12)]]
    lost = (uncut["weights"] > 0) & (cut["weights"] == 0)
    assert 0.05 < lost.float().mean() < 0.7
    black = (cut["crops"] == 0).all(dim=3)
    for person, joint in lost.nonzero().tolist():
        heatmap = uncut["targets"][person, joint]
        y, x = divmod(int(heatmap.argmax()), 16)
        assert black[person, max(4 * y - 2, 0) : 4 * y + 6, max(4 * x - 2, 0) : 4 * x + 6].any()


def test_dataset_augmentation_is_reproducible_by_seed_epoch_and_person(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path))
    first, again, other = (dataset(tmp_path, MODERN, seed=s, people=people) for s in (0, 0, 1))
    keys = [(3, 5), (3, 7)]
    assert (first[keys]["crops"] == again[list(reversed(keys))]["crops"].flip(0)).all()
    assert (first[keys]["crops"] != other[keys]["crops"]).any()
    assert (first[keys]["crops"] != first[[(4, 5), (4, 7)]]["crops"]).any()


def test_dataset_batches_are_equal_with_worker_processes(tmp_path: Path) -> None:
    data = dataset(tmp_path, MODERN)
    keys = plan(np.arange(12), 0, 4)
    in_process, in_workers = (list(load(data, keys, workers, pinned=False)) for workers in (0, 2))
    assert len(in_process) == len(in_workers) == 3
    for a, b in zip(in_process, in_workers, strict=True):
        assert all((a[name] == b[name]).all() for name in a)


def test_dataset_unreadable_image_is_named_in_error(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    (tmp_path / "images" / "person-4.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"person-4.png, annotation 104: the image cannot be read"):
        data[[(0, 4)]]


def test_image_cache_keeps_images_up_to_limit(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path))
    images = ImageCache(limit=2 * 96 * 96 * 3)
    kept = [images.read(people, i) for i in range(3)]
    assert [images.read(people, i) is kept[i] for i in range(3)] == [True, True, False]


def test_dataset_weight_sets_how_often_rows_repeat_per_epoch() -> None:
    rows = epoch_rows([(10, 2.0), (10, 0.5)], seed=0, epoch=0)
    counts = np.bincount(rows, minlength=20)
    assert counts[:10].tolist() == [2] * 10
    assert sorted(counts[10:].tolist()) == [0] * 5 + [1] * 5
    others = epoch_rows([(10, 2.0), (10, 0.5)], seed=0, epoch=1)
    assert rows.tolist() != others.tolist()


def test_dataset_last_batch_is_padded_with_first_rows() -> None:
    keys = plan(np.arange(5), 7, 2)
    assert keys == [[(7, 0), (7, 1)], [(7, 2), (7, 3)], [(7, 4), (7, 0)]]
    assert plan(np.arange(3), 0, 8)[0] == [(0, i) for i in (0, 1, 2, 0, 1, 2, 0, 1)]
