"""Augmentation of a person's crop, sampled again in every epoch."""

from dataclasses import dataclass

import cv2
import numpy as np

from hrpose_rt.evaluation.annotations import AnnotatedPeople
from hrpose_rt.geometry import CROP_MARGIN
from hrpose_rt.types import F32, U8, Bools

HALF_BODY_JOINTS = 8  # half-body augmentation needs more labelled joints than this
HALF_BODY_MARGIN = 1.5
TURN_SHARE = 0.6  # share of crops that are rotated, as in the original
CUT_SIDES = (0.25, 0.1, 0.25, 0.4)  # probability of left, top, right, bottom, as photos usually cut

EdgeCut = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strength and frequency of each augmentation.

    Attributes:
        flip: Share of mirrored crops.
        turn_deg: Standard deviation of the rotation in degrees, clipped at twice its value.
        scale: Standard deviation of the crop's size, clipped at its value.
        half_body: Share of people shown only from one half of the body, upper or lower.
        close_up: Share of people shown only in part, as by a close camera.
        cut: Share of crops in which the image ends inside the crop, as at a photo's edge.
        shift: Standard deviation of the crop's position, as a share of its size; clipped at twice it.
        colour: Largest change of contrast, brightness and of each channel, as a share.
        cutout: Share of crops in which rectangles hide parts.
    """

    flip: float = 0.5
    turn_deg: float = 0.0
    scale: float = 0.0
    half_body: float = 0.0
    close_up: float = 0.0
    cut: float = 0.0
    shift: float = 0.0
    colour: float = 0.0
    cutout: float = 0.0


@dataclass(frozen=True, slots=True)
class CropTransform:
    """The part of the frame that becomes the crop.

    Attributes:
        centre: (2,) its centre in frame pixels.
        size: (2,) its width and height in frame pixels.
        rotation: Radians.
        mirrored: Whether it is mirrored.
    """

    centre: F32
    size: F32
    rotation: float = 0.0
    mirrored: bool = False

    def to_crop(self, input_hw: tuple[int, int], udp: bool) -> F32:
        """The affine map (2, 3) from frame pixels to the pixels of a crop of `input_hw`.

        Without rotation and mirroring it equals `geometry.crop_affines`.
        """
        steps = np.array(input_hw[::-1]) - float(udp)
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        turned = np.array([[cos, -sin], [sin, cos]])
        mirror = np.array([-1.0 if self.mirrored else 1.0, 1.0])
        linear = (mirror * steps / self.size)[:, None] * turned
        offset = steps / 2 - linear @ self.centre
        return np.concatenate([linear, offset[:, None]], axis=1).astype(np.float32)


def sample_transform(
    people: AnnotatedPeople, row: int, aspect: float, augmentation: Augmentation, rng: np.random.Generator
) -> CropTransform:
    """Sample the crop of person `row`.

    Args:
        people: The people.
        row: Row of the person.
        aspect: Width by height of the crop.
        augmentation: Strength of the augmentations.
        rng: Random generator.
    """
    size, centre = crop_of(people.boxes[row], aspect)
    joints, labelled = people.joints[row], people.labelled[row]
    # Draw all numbers in every case, so that a change of one share leaves the other draws the same.
    chance = rng.random(4)
    normal = rng.standard_normal(4)
    part, offset = rng.uniform(0.35, 0.85), rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    half = None
    if labelled.sum() > HALF_BODY_JOINTS and chance[0] < augmentation.half_body:
        is_upper = np.array(people.skeleton.is_upper())
        # More often the upper half: the original compares a normal draw, not a uniform one, with 0.5.
        half = _half_body(joints[labelled], is_upper[labelled], upper=bool(rng.standard_normal() < 0.5))
    if half is not None:
        centre, size = half[0], _widen(half[1], aspect) * np.float32(HALF_BODY_MARGIN)
    elif chance[3] < augmentation.close_up:
        centre, size = centre + size * offset * np.float32(1 - part), size * np.float32(part)
    scale, turn_deg = augmentation.scale, augmentation.turn_deg
    size = size * np.float32(np.clip(1 + scale * normal[0], 1 - scale, 1 + scale))
    rotation = 0.0
    if chance[1] <= TURN_SHARE:
        rotation = np.deg2rad(np.clip(turn_deg * normal[1], -2 * turn_deg, 2 * turn_deg))
    centre = centre + size * (augmentation.shift * normal[2:].clip(-2, 2)).astype(np.float32)
    return CropTransform(centre, size, float(rotation), bool(chance[2] < augmentation.flip))


def sample_edge_cut(
    augmentation: Augmentation, rng: np.random.Generator, crop_hw: tuple[int, int]
) -> EdgeCut | None:
    """Sample the part of a crop inside the image, as columns and rows; None if the edge does not cut it."""
    if rng.random() >= augmentation.cut:
        return None
    h, w = crop_hw
    low, high = np.zeros(2), np.array([w, h], np.float64)
    for side in rng.choice(4, rng.integers(1, 3), replace=False, p=CUT_SIDES):
        cut = rng.uniform(0.1, 0.45) * (w, h)[side % 2]
        if side < 2:
            low[side] += cut
        else:
            high[side - 2] -= cut
    (left, top), (right, bottom) = low.astype(int).tolist(), high.astype(int).tolist()
    return slice(left, right), slice(top, bottom)


def augment_colour(crop: U8, augmentation: Augmentation, rng: np.random.Generator) -> U8:
    """The crop (H, W, 3) with other colours and with rectangles that hide parts."""
    if augmentation.colour:
        contrast, brightness, *tint = 1 + augmentation.colour * rng.uniform(-1, 1, 5)
        levels = (np.arange(256) - 128) * contrast + 128 * brightness
        table = np.outer(levels, tint).clip(0, 255).astype(np.uint8)  # (256 levels, 3 channels)
        crop = np.asarray(cv2.LUT(crop, table[None]), np.uint8)
    if augmentation.cutout and rng.random() < augmentation.cutout:
        h, w = crop.shape[:2]
        for _ in range(rng.integers(1, 4)):
            ch, cw = (rng.uniform(0.08, 0.3, 2) * (h, w)).astype(int)
            y, x = rng.integers(0, h - ch), rng.integers(0, w - cw)
            crop[y : y + ch, x : x + cw] = rng.integers(0, 256, 3)
    return crop


def _half_body(joints: F32, is_upper: Bools, upper: bool) -> tuple[F32, F32] | None:
    """Centre and size of one half's joints; of the other half's if it shows too few; None if both do."""
    for half in (joints[is_upper == upper], joints[is_upper != upper]):
        if len(half) > 2:
            return half.mean(axis=0), np.ptp(half, axis=0)
    return None


def _widen(size: F32, aspect: float) -> F32:
    w = max(float(size[0]), float(size[1]) * aspect, 1.0)
    return np.array([w, w / aspect], np.float32)


def crop_of(box: F32, aspect: float) -> tuple[F32, F32]:
    """Size (2,) and centre (2,) of the crop around one box (4,); see `geometry.boxes_to_centre_size`."""
    size = _widen(box[2:] - box[:2], aspect) * np.float32(CROP_MARGIN)
    return size, np.asarray((box[:2] + box[2:]) / 2, np.float32)
