"""Crowds composed of cut-out people, with exact ground truth: each person's box and visible share.

Frame i depends on i and the seed only, not on earlier frames.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from hrpose_rt.bench.cutouts import Cutout
from hrpose_rt.types import F32, I64, U8, Bools, Frame, SourceInfo

FPS = 25.0
COVERED = 0.4  # share of the frame that the people's boxes would cover side by side
MAX_HEIGHT, SCENE_MIN_HEIGHT_PX = 0.6, 48.0  # share of the frame's height; pixels
SPEED = (0.15, 0.6)  # body heights per second
OCCLUDER_EVERY_S = 2.0  # an occluder covers a part of the crowd once in this time ...
OCCLUDER_FOR_S = (0.4, 0.6, 0.8, 1.0)  # ... for these durations, in turn
OCCLUDER_WIDTH = 0.4  # share of the frame's width
PRESENT = 0.3  # smallest visible share of a person that counts as present


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of a composed frame; row i is person i of the scene.

    Attributes:
        boxes: (N, 4) float32 xyxy of the whole person, clipped to the frame.
        visible: (N,) visible share of the person, in 0..1.
        returned: (N,) whether the person came back from behind the occluder on this frame.
    """

    boxes: F32
    visible: F32
    returned: Bools

    @property
    def present(self) -> I64:
        """Rows of the people in view."""
        return np.flatnonzero(self.visible >= PRESENT)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A closed path: back and forth between two turning points, nearer and farther."""

    left: float
    width: float  # length of the path, pixels
    start: float  # pixels along the path at time 0
    speed: float  # pixels per second, negative to the left
    feet: float  # pixels from the top
    sway: float  # amplitude of the feet, pixels
    phase: float

    def at(self, t: float) -> tuple[float, float]:
        """Position (x, y) of the feet."""
        along = (self.start + self.speed * t) % (2 * self.width)
        x = self.left + (along if along < self.width else 2 * self.width - along)
        return x, self.feet + self.sway * float(np.sin(0.7 * t + self.phase))


class Scene:
    """A composed crowd. Iterate over it as a source, or get single frames by index.

    People walk back and forth on crossing paths. Nearer people are larger and cover those behind. Each
    person has a size and colours of their own, so one cut-out can stand for several people. Every two
    seconds an occluder hides two fifths of the frame for up to a second, then vanishes on one frame.

    Args:
        cutouts: Cut-out people, used in turn.
        people: Number of people; they never leave the frame.
        size_wh: Width and height of the frames.
        frames: Number of frames the source yields.
        seed: Seed of paths and appearance.
        occluders: Whether occluders appear; without them people hide only each other.
    """

    def __init__(
        self,
        cutouts: Sequence[Cutout],
        people: int,
        size_wh: tuple[int, int] = (1280, 720),
        frames: int = 300,
        seed: int = 0,
        occluders: bool = True,
    ) -> None:
        rng = np.random.default_rng((seed, people))
        self._size_wh, self.people, self._occluders = size_wh, people, occluders
        w, h = size_wh
        tall = float(
            np.clip(np.sqrt(COVERED * w * h / (0.4 * max(people, 1))), SCENE_MIN_HEIGHT_PX, MAX_HEIGHT * h)
        )
        order = rng.permutation(len(cutouts))
        self._appearances = [self._appearance(cutouts[order[i % len(cutouts)]], rng) for i in range(people)]
        self._walks = [self._walk(tall, rng) for _ in range(people)]
        self._tall = tall
        self._sizes = rng.uniform(0.8, 1.2, people)
        self._light = rng.uniform(0, 2 * np.pi, people)
        self._falls = rng.uniform(0, 1 - OCCLUDER_WIDTH, 64)  # left edges, as shares of the width
        name = f"{people} people in {w}x{h}"
        self.info = SourceInfo(name, f"scene-{people}", w, h, FPS, frames, is_video=True, is_live=False)

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.info.frames or 0):
            yield self.frame(i)

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frame(self, index: int) -> Frame:
        """Frame `index`, captured now."""
        image, _ = self._compose(index)
        return Frame(index, image, index / FPS, time.perf_counter())

    def frame_and_truth(self, index: int) -> tuple[Frame, Truth]:
        """Frame `index` and its ground truth."""
        image, truth = self._compose(index)
        return Frame(index, image, index / FPS, time.perf_counter()), truth

    def _compose(self, index: int) -> tuple[U8, Truth]:
        t = index / FPS
        image = self._background.copy()
        owner = np.full(image.shape[:2], -1, np.int16)
        positions = [walk.at(t) for walk in self._walks]
        boxes, full = np.zeros((self.people, 4), np.float32), np.zeros(self.people)
        for i in sorted(range(self.people), key=lambda i: positions[i][1]):  # from back to front
            boxes[i], full[i] = self._put(image, owner, i, *positions[i], t)
        occluder = self._occluder(index)
        if occluder is not None:
            image[:, occluder] = self._occluder_texture[:, occluder]
            owner[:, occluder] = -1
        visible_px = np.bincount(owner[owner >= 0], minlength=self.people)
        visible = np.asarray(visible_px / np.maximum(full, 1), np.float32)
        last_occluder = self._occluder(index - 1) if index else None
        returned = np.zeros(self.people, np.bool_)
        if last_occluder is not None and occluder is None:
            centres = boxes[:, [0, 2]].mean(axis=1)
            returned = (
                (centres >= last_occluder.start) & (centres < last_occluder.stop) & (visible >= PRESENT)
            )
        return image, Truth(boxes, visible, returned)

    def _put(
        self, image: U8, owner: "np.typing.NDArray[np.int16]", i: int, x: float, y: float, t: float
    ) -> tuple[F32, float]:
        """Draw a person; returns the box and the person's area in pixels."""
        fh, fw = image.shape[:2]
        nearness = 0.75 + 0.5 * y / fh
        height = max(8, round(self._tall * self._sizes[i] * nearness))
        cutout = self._appearances[i]
        width = max(4, round(cutout.alpha.shape[1] * height / cutout.alpha.shape[0]))
        size = (width, height)
        person = cv2.resize(cutout.image, size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA)
        left, top = round(x - width / 2), round(y - height)
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, fw), min(top + height, fh)
        inside = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        frame = np.s_[y1:y2, x1:x2]
        a = alpha[inside][..., None]
        light = np.float32(1 + 0.1 * np.sin(0.9 * t + self._light[i]))
        mixed = (person[inside] * light).clip(0, 255) * a + image[frame] * (1 - a)
        image[frame] = mixed.astype(np.uint8)
        opaque = alpha[inside] > 0.5
        owner[frame][opaque] = i
        return np.array([x1, y1, x2, y2], np.float32), float(opaque.sum())

    def _walk(self, tall: float, rng: np.random.Generator) -> _Walk:
        w, h = self._size_wh
        margin = 0.2 * tall
        width = float(rng.uniform(0.25, 1.0)) * (w - 2 * margin)
        left = margin + float(rng.uniform(0, w - 2 * margin - width))
        speed = float(rng.uniform(*SPEED)) * tall * float(rng.choice([-1, 1]))
        feet = float(rng.uniform(min(tall * 1.1, 0.95 * h), 0.98 * h))
        return _Walk(
            left,
            width,
            float(rng.uniform(0, 2 * width)),
            speed,
            feet,
            min(0.03 * h, 0.98 * h - feet),
            float(rng.uniform(0, 2 * np.pi)),
        )

    @staticmethod
    def _appearance(cutout: Cutout, rng: np.random.Generator) -> Cutout:
        """The cut-out with other colours, randomly mirrored."""
        gains = rng.uniform(0.7, 1.15) * rng.uniform(0.9, 1.1, 3)
        image = (cutout.image * gains).clip(0, 255).astype(np.uint8)
        flip = -1 if rng.random() < 0.5 else 1
        return Cutout(np.ascontiguousarray(image[:, ::flip]), np.ascontiguousarray(cutout.alpha[:, ::flip]))

    def _occluder(self, index: int) -> slice | None:
        """Columns that the occluder covers on frame `index`; None if there is no occluder."""
        every = round(OCCLUDER_EVERY_S * FPS)
        fall, since = divmod(index, every)
        lasts = round(OCCLUDER_FOR_S[fall % len(OCCLUDER_FOR_S)] * FPS)
        if not self._occluders or since < every - lasts:
            return None
        w = self._size_wh[0]
        start = round(self._falls[fall % len(self._falls)] * w)
        return slice(start, start + round(OCCLUDER_WIDTH * w))

    @cached_property
    def _background(self) -> U8:
        """Blurred noise over a gradient from a light sky to a darker ground."""
        return self._texture(light=(200, 190, 180), dark=(110, 120, 120), seed=1)

    @cached_property
    def _occluder_texture(self) -> U8:
        return self._texture(light=(90, 60, 50), dark=(60, 40, 35), seed=2)

    def _texture(self, light: tuple[int, int, int], dark: tuple[int, int, int], seed: int) -> U8:
        w, h = self._size_wh
        noise = np.random.default_rng(seed).normal(0, 8, (h // 32, w // 32, 1))
        down = np.linspace(0, 1, h // 32)[:, None, None]
        small = np.array(light) * (1 - down) + np.array(dark) * down + noise
        return np.asarray(
            cv2.resize(small.clip(0, 255).astype(np.uint8), (w, h), interpolation=cv2.INTER_CUBIC), np.uint8
        )
