"""The augmented crop of a person, and the joints in it."""

from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.evaluation.annotations import AnnotatedPeople
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines
from hrpose_rt.skeleton import COCO17, MPII16
from hrpose_rt.training.augment import (
    Augmentation,
    CropTransform,
    augment_colour,
    crop_of,
    sample_edge_cut,
    sample_transform,
)

CENTRE, SIZE = np.array([50, 40], np.float32), np.array([60, 80], np.float32)


def in_crop(transform: CropTransform, point: tuple[float, float], udp: bool = False) -> np.ndarray:
    matrix = transform.to_crop((256, 192), udp)
    return matrix[:, :2] @ np.array(point) + matrix[:, 2]


@pytest.mark.parametrize("udp", [False, True])
def test_crop_transform_without_augmentation_equals_crop_map(udp: bool) -> None:
    expected = crop_affines(CENTRE[None], SIZE[None], (256, 192), udp)[0]
    np.testing.assert_allclose(CropTransform(CENTRE, SIZE).to_crop((256, 192), udp), expected, rtol=1e-5)


def test_crop_of_box_equals_pipeline_crop_frame() -> None:
    box = np.array([10, 20, 70, 60], np.float32)
    size, centre = crop_of(box, 192 / 256)
    centres, sizes = boxes_to_centre_size(box[None], (256, 192))
    np.testing.assert_allclose((*size, *centre), (*sizes[0], *centres[0]))


def test_crop_transform_mirrored_equals_crop_of_flipped_image() -> None:
    # In an image 100 wide the point (30, 25) mirrors to (69, 25), and the centre (50, 40) to (49, 40).
    mirrored = in_crop(CropTransform(CENTRE, SIZE, mirrored=True), (30, 25))
    flipped = in_crop(CropTransform(np.array([49, 40]), SIZE), (69, 25))
    np.testing.assert_allclose(mirrored, flipped, rtol=1e-6)


@pytest.mark.parametrize("udp", [False, True])
def test_crop_transform_rotates_around_crop_centre(udp: bool) -> None:
    transform = CropTransform(CENTRE, SIZE, rotation=np.pi / 2)
    middle = np.array([191, 255]) / 2 if udp else np.array([96, 128])
    np.testing.assert_allclose(in_crop(transform, (50, 40), udp), middle, atol=1e-3)
    right = in_crop(transform, (60, 40), udp) - middle
    assert abs(right[0]) < 1e-3 and right[1] > 30  # what was to the right is now below


def one_person(labelled: int = 17) -> AnnotatedPeople:
    """One person whose crop is at CENTRE and of SIZE, with joints on a line from above to below."""
    joints = np.stack([np.linspace(40, 60, 17), np.linspace(10, 70, 17)], axis=1).astype(np.float32)
    half = SIZE / 1.25 / 2
    return AnnotatedPeople(
        skeleton=COCO17,
        images=(Path("image.png"),),
        image_rows=np.zeros(1, np.int64),
        ids=np.zeros(1, np.int64),
        boxes=np.concatenate([CENTRE - half, CENTRE + half])[None],
        joints=joints[None],
        labelled=(np.arange(17) < labelled)[None],
        human_labelled=np.ones(1, np.bool_),
        areas=np.full(1, 48 * 64, np.float32),
    )


def sample(augmentation: Augmentation, count: int = 400, labelled: int = 17) -> list[CropTransform]:
    person, rng = one_person(labelled), np.random.default_rng(0)
    return [sample_transform(person, 0, 0.75, augmentation, rng) for _ in range(count)]


def test_augment_original_rotation_scale_and_flip_ranges() -> None:
    drawn = sample(Augmentation(turn_deg=45, scale=0.35, half_body=0.0))
    turns = np.rad2deg([v.rotation for v in drawn])
    scales = np.array([v.size[0] for v in drawn]) / SIZE[0]
    assert 0.53 < np.mean(turns != 0) < 0.67
    assert np.abs(turns).max() <= 90 + 1e-6
    assert scales.min() == pytest.approx(0.65) and scales.max() == pytest.approx(1.35)
    assert 0.43 < np.mean([v.mirrored for v in drawn]) < 0.57
    assert all((v.centre == CENTRE).all() for v in drawn)


def test_augment_half_body_needs_more_than_eight_joints() -> None:
    augmentation = Augmentation(half_body=1.0)
    joints = one_person().joints[0]
    upper, lower = joints[:11], joints[11:]
    drawn = sample(augmentation)
    centres = np.unique([v.centre for v in drawn], axis=0)
    expected = sorted([upper.mean(axis=0).tolist(), lower.mean(axis=0).tolist()])
    np.testing.assert_allclose(sorted(centres.tolist()), expected, rtol=1e-5)
    tall = max(upper[-1, 1] - upper[0, 1], (upper[-1, 0] - upper[0, 0]) / 0.75)
    assert max(v.size[1] for v in drawn) == pytest.approx(1.5 * tall, rel=1e-4)
    assert all((v.size == SIZE).all() for v in sample(augmentation, labelled=8))


def test_skeleton_mpii_upper_body_excludes_pelvis() -> None:
    upper = [name for name, is_upper in zip(MPII16.joints, MPII16.is_upper(), strict=True) if is_upper]
    assert upper[:3] == ["thorax", "neck", "head"] and len(upper) == 9


def test_augment_close_up_stays_within_crop() -> None:
    for transform in sample(Augmentation(close_up=1.0)):
        assert (0.35 * SIZE[0] <= transform.size[0]) and (transform.size[0] <= 0.85 * SIZE[0])
        assert (np.abs(transform.centre - CENTRE) + transform.size / 2 <= SIZE / 2 + 1e-3).all()


def test_augment_edge_cut_removes_one_or_two_sides() -> None:
    rng = np.random.default_rng(0)
    cuts = [sample_edge_cut(Augmentation(cut=1.0), rng, (256, 192)) for _ in range(200)]
    for cut in cuts:
        columns, rows = cut
        cut_sides = sum([columns.start > 0, rows.start > 0, columns.stop < 192, rows.stop < 256])
        assert 1 <= cut_sides <= 2
        assert columns.stop - columns.start > 15 and rows.stop - rows.start > 20
    assert sample_edge_cut(Augmentation(), rng, (256, 192)) is None


def test_augment_without_options_changes_nothing() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert (augment_colour(crop.copy(), Augmentation(), np.random.default_rng(1)) == crop).all()
    transform = sample(Augmentation(flip=0), count=1)[0]
    assert (transform.centre == CENTRE).all() and (transform.size == SIZE).all()
    assert transform.rotation == 0


def test_augment_colour_stays_in_range_and_cutout_covers_part() -> None:
    grey = np.full((64, 48, 3), 100, np.uint8)
    coloured = [
        augment_colour(grey.copy(), Augmentation(colour=0.2), np.random.default_rng(i)) for i in range(50)
    ]
    levels = np.array([crop[0, 0] for crop in coloured])
    assert levels.min() >= 40 and levels.max() <= 160 and levels.std() > 5
    covered = augment_colour(grey.copy(), Augmentation(cutout=1.0), np.random.default_rng(0))
    assert 0 < np.any(covered != 100, axis=2).mean() < 0.5
