"""The loop: a frame's people, their ids, their poses, and what each step cost."""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from hrpose_rt.errors import BadInput
from hrpose_rt.networks import Networks, Settings, open_networks
from hrpose_rt.people.tracking import ByteTracker, Strangers, Tracker
from hrpose_rt.result import FrameResult
from hrpose_rt.streams.sources import Clip, Source, open_source
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Frame, Poses, check_image

USUAL_FPS = 30.0  # of pictures that the caller brings without saying


class PosePipeline:
    """Frames in, results out. A context manager; one frame at a time.

    Args:
        settings: Which networks, and how they are run.
        networks: Used in place of those that the settings name.

    Raises:
        HrposeError: A network cannot be had; the message says what to do.
    """

    def __init__(self, settings: Settings = Settings(), networks: Networks | None = None) -> None:
        self._settings = settings
        self._networks = networks or open_networks(settings)
        self._tracker: Tracker = self._new_tracker(USUAL_FPS)
        self._processed = 0

    @property
    def facts(self) -> dict[str, object]:
        """Models, runtime, precision and machine, as the files state them."""
        return self._networks.facts

    def process(self, image: U8 | Frame) -> FrameResult:
        """The people of the next frame.

        Args:
            image: (H, W, 3) uint8 BGR, taken as the frame after the one before at 30 a second; or a
                `Frame`, which says when it was.

        Raises:
            BadInput: It is no such picture.
        """
        frame = image if isinstance(image, Frame) else self._next_frame(image)
        self._processed += 1
        networks = self._networks
        clock = StageClock()
        detections = networks.detector.detect(frame.image, clock)
        with clock.stage("track"):
            ids = self._tracker.update(detections, frame.time_s)
        poses = networks.estimator.estimate(frame.image, detections.boxes, clock)
        times = clock.times(frame.read_ms)
        return FrameResult(frame, detections, ids, poses, times, networks.skeleton)

    def estimate(self, image: U8, boxes: ArrayLike) -> Poses:
        """Poses of the people in one's own boxes.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) xyxy in pixels; they may reach over the picture's edge.

        Raises:
            BadInput: A box is not finite, has no area, or lies outside the picture.
        """
        check_image(image)
        return self._networks.estimator.estimate(image, check_boxes(boxes, image), StageClock())

    def stream(self, source: Source) -> Iterator[FrameResult]:
        """The results of a source, frame after frame, with ids of its own.

        Raises:
            RunBroken: After the last frame, if the source lost some.
        """
        info = source.info
        self._networks.detector.warm((info.height, info.width))
        self._tracker = self._new_tracker(info.fps) if info.film else Strangers()
        for frame in source:
            yield self.process(frame)

    def _new_tracker(self, fps: float) -> Tracker:
        return ByteTracker(fps, self._settings.det_score)

    def _next_frame(self, image: U8) -> Frame:
        index = self._processed
        return Frame(index, image, index / USUAL_FPS, time.perf_counter())

    def close(self) -> None:
        """Release the networks."""
        self._networks.detector.close()
        self._networks.estimator.close()

    def __enter__(self) -> "PosePipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(
    source: str | Source, settings: Settings = Settings(), clip: Clip = Clip()
) -> Iterator[FrameResult]:
    """The results of a video file, image, folder of images or camera, frame after frame.

    Args:
        source: A path, a camera's number as text, or an opened source.
        settings: Which networks, and how they are run.
        clip: Which part of the source to take; an opened source has its own.

    Raises:
        HrposeError: Before the first frame if source or networks cannot be opened, after the last if
            the source lost frames.
    """
    opened = open_source(source, clip) if isinstance(source, str) else source
    with opened, PosePipeline(settings) as pipeline:
        yield from pipeline.stream(opened)


def check_boxes(boxes: ArrayLike, image: U8) -> F32:
    """Boxes as (N, 4) float32, or BadInput that names the first one that is none."""
    try:
        array = np.asarray(boxes, np.float32).reshape(-1, 4)
    except (TypeError, ValueError) as error:
        raise BadInput("boxes are (N, 4) numbers: x1, y1, x2, y2 in pixels") from error
    h, w = image.shape[:2]
    finite = np.logical_and.reduce(np.isfinite(array), axis=1)
    with np.errstate(invalid="ignore"):
        solid = np.logical_and.reduce(array[:, 2:] > array[:, :2], axis=1)
        inside = np.logical_and.reduce((array[:, :2] < (w, h)) & (array[:, 2:] > 0), axis=1)
    wrong = np.flatnonzero(~(finite & solid & inside))
    if len(wrong):
        i = int(wrong[0])
        reason = f"lies outside the picture of {w}x{h}"
        if not finite[i]:
            reason = "has numbers that are not finite"
        elif not solid[i]:
            reason = "has no area"
        raise BadInput(f"box {i}, {array[i].tolist()}, {reason}: give x1, y1, x2, y2 in its pixels")
    return array
