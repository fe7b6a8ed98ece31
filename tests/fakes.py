"""Stand-ins that fit the seams and misbehave in the permitted ways."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from hrpose_rt.detection.tiling import Region
from hrpose_rt.networks import Networks
from hrpose_rt.run_info import DetectorInfo, HardwareInfo, PoseInfo, RunInfo
from hrpose_rt.skeleton import COCO17
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Detections, Frame, Poses, SourceInfo


class FakeRuntime:
    """Answers every batch with `answer(batch)`, always in the same memory, as runtimes may."""

    name = "fake"
    precision, device = "fp32", "cpu"

    def __init__(self, answer) -> None:
        self._answer = answer
        self._memory: dict[tuple[int, ...], F32] = {}
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        self.shapes.append(batch.shape)
        answer = np.asarray(self._answer(batch), np.float32)
        memory = self._memory.setdefault(answer.shape, np.empty_like(answer))
        memory[:] = answer
        return memory

    def close(self) -> None:
        self.closed = True


class FakeDetector:
    """Finds as many people as it is told for each frame, over and over: `FakeDetector([2, 0, 60])`."""

    def __init__(self, crowds: Sequence[int] = (2,)) -> None:
        self._crowds = crowds
        self._frames = 0
        self.closed = False

    def warm_up(self, frame_hw: tuple[int, int], max_tiles: int = 0) -> None:
        pass

    def input_hw_for(self, frame_hw: tuple[int, int]) -> tuple[int, int]:
        return 384, 640

    def detect(self, image: U8, clock: StageClock, tiles: Sequence[Region] = ()) -> Detections:
        n = self._crowds[self._frames % len(self._crowds)]
        self._frames += 1
        with clock.stage("detect"):
            h, w = image.shape[:2]
            x = np.linspace(0, 0.9 * w, n, dtype=np.float32)
            boxes = np.stack([x, np.zeros_like(x), x + 0.1 * w, np.full_like(x, h)], axis=1)
            return Detections.found(boxes.astype(np.float32), np.full(n, 0.9, np.float32))

    def close(self) -> None:
        self.closed = True


class FakeEstimator:
    """Puts every joint into the middle of its box."""

    def __init__(self) -> None:
        self.closed = False

    input_hw = (256, 192)

    def warm_up(self) -> None:
        pass

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        k = len(COCO17.joints)
        with clock.stage("pose"):
            centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
            return Poses.estimated(centres.repeat(k, axis=1), np.full((len(boxes), k), 0.8, np.float32))

    def estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        return [self.estimate(image, of, clock) for image, of in zip(images, boxes, strict=True)]

    def close(self) -> None:
        self.closed = True


RUN = RunInfo(
    PoseInfo(
        model="fake-pose",
        sha256="0" * 64,
        input_hw=(256, 192),
        decode="dark",
        runtime="fake",
        precision="fp32",
        device="cpu",
        reason="for a test",
        skeleton=COCO17.name,
    ),
    DetectorInfo("fake-detector", "1" * 64, "fake", "bf16"),
    HardwareInfo(1, "none", ()),
)


def fake_networks(crowds: Sequence[int] = (2,)) -> Networks:
    """Networks that find `crowds` people, frame after frame."""
    return Networks(FakeDetector(crowds), FakeEstimator(), COCO17, RUN)


class FakeSource:
    """`frames` grey pictures at `fps`, made as they are asked for."""

    def __init__(self, frames: int = 3, hw: tuple[int, int] = (48, 64), fps: float = 25.0) -> None:
        h, w = hw
        self.info = SourceInfo("fake", "fake", w, h, fps, frames, is_video=True, is_live=False)

    def __iter__(self) -> Iterator[Frame]:
        image = np.full((self.info.height, self.info.width, 3), 128, np.uint8)
        for i in range(self.info.frames or 0):
            yield Frame(i, image, i / self.info.fps, time.perf_counter())

    def __enter__(self) -> "FakeSource":
        return self

    def __exit__(self, *_: object) -> None:
        pass
