"""People -> training batches: crops, target heatmaps and the weight of each joint."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import AnnotatedPeople
from hrpose_rt.geometry import input_to_heatmap
from hrpose_rt.paths import check_utf8
from hrpose_rt.pose.targets import encode
from hrpose_rt.training.augment import (
    CropTransform,
    EdgeCut,
    augment_colour,
    crop_of,
    sample_edge_cut,
    sample_transform,
)
from hrpose_rt.training.config import Stage
from hrpose_rt.training.distillation import TeacherHeatmaps
from hrpose_rt.training.recipes import Recipe
from hrpose_rt.types import F32, U8, Bools

SampleKeys = list[tuple[int, int]]  # (epoch, row) per person; the random numbers depend on both
Batch = dict[str, Tensor]

HARD_JOINTS = {"elbow": 1.2, "knee": 1.2, "wrist": 1.5, "ankle": 1.5}  # joint weights of the original


class ImageCache:
    """Decoded images, kept in memory as long as they fit.

    Args:
        limit: Most bytes to keep.
    """

    def __init__(self, limit: int) -> None:
        self._kept: dict[Path, U8] = {}
        self._left = limit

    def read(self, people: AnnotatedPeople, row: int) -> U8:
        """The image of person `row` (H, W, 3) BGR, as stored: annotations ignore EXIF rotation."""
        path = people.images[people.image_rows[row]]
        if (kept := self._kept.get(path)) is not None:
            return kept
        check_utf8(path)
        image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise BadInput(f"{people.where(row)}: the image cannot be read, replace it")
        image = np.asarray(image, np.uint8)
        if image.nbytes <= self._left:
            self._kept[path] = image
            self._left -= image.nbytes
        return image


class CropDataset(Dataset[Batch]):
    """Whole batches; each depends only on its keys, the seed and the recipe.

    Args:
        people: The people.
        recipe: The recipe.
        stage: Stage with the resolution.
        seed: Random seed of the augmentation; None for no augmentation: every epoch is then the same.
        images: The image cache.
        teacher: The teacher's heatmaps of the people, for joints without a human label.
    """

    def __init__(
        self,
        people: AnnotatedPeople,
        recipe: Recipe,
        stage: Stage,
        seed: int | None,
        images: ImageCache,
        teacher: TeacherHeatmaps | None = None,
    ) -> None:
        self._people, self._recipe, self._stage, self._seed = people, recipe, stage, seed
        self._images, self._teacher = images, teacher
        self._flip_order = people.skeleton.flip_order()
        joints = people.skeleton.joints
        self._joint_weights = (
            _joint_weights(joints) if recipe.joint_weights else np.ones(len(joints), np.float32)
        )
        if recipe.squared_weights:
            self._joint_weights **= 2

    def __getitem__(self, keys: SampleKeys) -> Batch:
        """Crops (B, H, W, 3) uint8 BGR, targets (B, K, h, w), weights (B, K) and rows (B,)."""
        people, (h, w) = self._people, self._stage.input_hw
        udp = self._recipe.targets == "udp"
        rows = np.array([row for _, row in keys])
        crops = np.empty((len(keys), h, w, 3), np.uint8)
        joints, labelled = people.joints[rows].copy(), people.labelled[rows].copy()
        transforms, cuts = [], []
        for i, (epoch, row) in enumerate(keys):
            rng = None if self._seed is None else np.random.default_rng((self._seed, epoch, row))
            transform = self._transform(row, rng)
            to_crop = transform.to_crop((h, w), udp)
            image = self._images.read(people, row)
            cv2.warpAffine(image, to_crop, (w, h), dst=crops[i], flags=cv2.INTER_LINEAR)
            joints[i] = joints[i] @ to_crop[:, :2].T + to_crop[:, 2]
            if transform.mirrored:
                joints[i], labelled[i] = joints[i][self._flip_order], labelled[i][self._flip_order]
            if rng is not None:
                crops[i] = augment_colour(crops[i], self._recipe.augmentation, rng)
                cut = sample_edge_cut(self._recipe.augmentation, rng, (h, w))
                if cut:
                    crops[i] = _only(crops[i], cut)
                    labelled[i] &= _within(joints[i], cut)
                cuts.append(cut)
            transforms.append(transform)
        heatmap_joints = input_to_heatmap(joints, (h, w), self._stage.heatmap_hw, udp)
        targets, inside = encode(heatmap_joints, self._stage.heatmap_hw, self._recipe.targets)
        trust = np.where(people.human_labelled[rows], 1.0, self._recipe.machine_weight)
        weights = labelled * inside * trust[:, None]
        if self._teacher is not None:
            self._ask_teacher(rows, transforms, labelled, targets, weights)
            # Beyond the edge there is nothing, so the network should not guess there.
            for heatmaps, cut in zip(targets, cuts, strict=False):
                if cut:
                    heatmaps[:] = _only(heatmaps.transpose(1, 2, 0), _shrunk(cut)).transpose(2, 0, 1)
        return {
            "crops": torch.from_numpy(crops),
            "targets": torch.from_numpy(targets),
            "weights": torch.from_numpy((weights * self._joint_weights).astype(np.float32)),
            "rows": torch.from_numpy(rows),
        }

    def _transform(self, row: int, rng: np.random.Generator | None) -> CropTransform:
        aspect = self._stage.input_hw[1] / self._stage.input_hw[0]
        if rng is None:
            size, centre = crop_of(self._people.boxes[row], aspect)
            return CropTransform(centre, size)
        return sample_transform(self._people, row, aspect, self._recipe.augmentation, rng)

    def _ask_teacher(
        self,
        rows: np.ndarray,
        transforms: Sequence[CropTransform],
        labelled: np.ndarray,
        targets: F32,
        weights: F32,
    ) -> None:
        """Use the teacher's maps for joints without a human label, with the weight of machine labels."""
        assert self._teacher is not None
        udp = self._recipe.targets == "udp"
        for i, (row, transform) in enumerate(zip(rows.tolist(), transforms, strict=True)):
            unlabelled = ~(labelled[i] & self._people.human_labelled[row])
            if unlabelled.any():
                maps = self._teacher.warped(row, transform, self._stage.input_hw, udp)
                if transform.mirrored:
                    maps = maps[self._flip_order]
                targets[i, unlabelled] = maps[unlabelled]
                weights[i, unlabelled] = self._recipe.machine_weight


def epoch_rows(shares: Sequence[tuple[int, float]], seed: int, epoch: int) -> np.ndarray:
    """Rows of the people in an epoch, in random order.

    Args:
        shares: For each set, in the order they were joined: number of people and weight. A weight of 2
            shows each person twice, a weight of 0.5 a random half of them in each epoch.
        seed: Random seed.
        epoch: Number of the epoch.
    """
    rng = np.random.default_rng((seed, epoch))
    rows, start = [], 0
    for count, weight in shares:
        set_rows = np.arange(start, start + count)
        rows += [set_rows] * int(weight)
        rows.append(rng.permutation(set_rows)[: round(count * (weight % 1))])
        start += count
    return rng.permutation(np.concatenate(rows))


def plan(rows: np.ndarray, epoch: int, batch: int) -> list[SampleKeys]:
    """An epoch's batches; the last is filled up from the beginning, since batch norm needs large ones."""
    count = -(-len(rows) // batch)
    rows = np.resize(rows, count * batch)
    return [[(epoch, int(row)) for row in rows[i * batch : (i + 1) * batch]] for i in range(count)]


def load(dataset: CropDataset, keys: Sequence[SampleKeys], workers: int, pinned: bool) -> Iterator[Batch]:
    """The batches of `keys`, in order, made by `workers` processes; with 0 in this process."""
    return iter(
        DataLoader(
            dataset,
            batch_size=None,
            sampler=keys,
            num_workers=workers,
            pin_memory=pinned,
            worker_init_fn=_quiet_worker,
        )
    )


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)


def _only(image: NDArray[Any], cut: EdgeCut) -> NDArray[Any]:
    """The image (H, W, C) with 0 outside `cut`."""
    columns, rows = cut
    masked = np.zeros_like(image)
    masked[rows, columns] = image[rows, columns]
    return masked


def _within(joints: F32, cut: EdgeCut) -> Bools:
    """Whether each joint (K, 2) lies inside `cut`."""
    low, high = np.array([[s.start for s in cut], [s.stop for s in cut]])
    return np.asarray(((joints >= low) & (joints < high)).all(axis=1))


def _shrunk(cut: EdgeCut) -> EdgeCut:
    """The cut in heatmap pixels."""
    columns, rows = (slice(s.start // 4, -(-s.stop // 4)) for s in cut)
    return columns, rows


def _joint_weights(joints: tuple[str, ...]) -> F32:
    """The weight (K,) of each joint in the loss: 1, and more for `HARD_JOINTS`."""
    weights = [next((w for part, w in HARD_JOINTS.items() if part in j), 1.0) for j in joints]
    return np.array(weights, np.float32)
