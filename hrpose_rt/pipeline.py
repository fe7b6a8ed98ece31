"""The loop: a frame's people, their ids, their poses, and what each step cost."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.following import Following, check, probe
from hrpose_rt.networks import Networks, Settings, open_networks, say
from hrpose_rt.people.scheduling import Costs
from hrpose_rt.result import FrameResult
from hrpose_rt.streams.sources import Clip, Source, SourceInfo, open_source
from hrpose_rt.streams.together import Together
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Frame, Poses, check_image

USUAL_FPS = 30.0  # of pictures that the caller brings without saying
Ended = Callable[[int, RunBroken | None], None]


class PosePipeline:
    """Frames in, results out. A context manager; one frame at a time.

    Args:
        settings: Which networks, and how they are run.
        networks: Used in place of those that the settings name.
        clock: What times a frame.

    Raises:
        HrposeError: A network cannot be had; the message says what to do.
    """

    def __init__(
        self,
        settings: Settings = Settings(),
        networks: Networks | None = None,
        clock: Callable[[], StageClock] = StageClock,
    ) -> None:
        self._settings, self._clock = settings, clock
        check(settings)
        self._networks = networks or open_networks(settings)
        self._costs = probe(self._networks.estimator) if settings.budget_ms else Costs()
        self._following: Following | None = None
        self._tally: Counter[str] = Counter()
        self._processed = 0
        self._warned = False

    @property
    def facts(self) -> dict[str, object]:
        """Models, runtime, precision and machine, as the files state them."""
        return self._networks.facts

    def process(self, image: U8 | Frame, of: Following | None = None) -> FrameResult:
        """The people of the next frame.

        Args:
            image: (H, W, 3) uint8 BGR, taken as the frame after the one before at 30 a second; or a
                `Frame`, which says when it was.
            of: What `begin` gave for the source it is of; without it, of the pipeline's own.

        Raises:
            BadInput: It is no such picture.
        """
        frame = image if isinstance(image, Frame) else self._next_frame(image)
        if of is None:
            of = self._own(frame)
        return self._process([frame], [of])[0]

    def _own(self, frame: Frame) -> Following:
        """For pictures without a source; one of another size begins another film."""
        h, w = frame.image.shape[:2]
        if self._following is None or self._following.frame_hw != (h, w):
            self._following = self.begin(SourceInfo("", "", w, h, USUAL_FPS, None, film=True, live=False))
        return self._following

    def begin(self, info: SourceInfo) -> Following:
        """Get ready for a source's frames; returns what is remembered from one of them to the next."""
        networks = self._networks
        following = Following(self._settings, info, networks.detector, networks.skeleton, self._costs)
        networks.detector.warm((info.height, info.width), following.tiling.most)
        return following

    def following_facts(self) -> dict[str, Any]:
        """How people were followed, all sources together: looks, tiles, and poses that got too old."""
        return {"tracker": self._settings.tracker, "budget_ms": self._settings.budget_ms, **self._tally}

    def _process(
        self, frames: Sequence[Frame], all_followed: Sequence[Following], shared: bool = False
    ) -> list[FrameResult]:
        """Frames of different sources, each with its own people, who share the pose batches."""
        self._processed += len(frames)
        networks, wanted, spent = self._networks, [], []
        for frame, followed in zip(frames, all_followed, strict=True):
            clock = self._clock()
            wanted.append(followed.before(frame, networks.detector, clock))
            spent.append(clock.times(frame.read_ms))
        clock, begin = self._clock(), time.perf_counter()
        boxes = [f.boxes[rows] for f, rows in zip(all_followed, wanted, strict=True)]
        poses = networks.estimator.estimate_all([frame.image for frame in frames], boxes, clock)
        together, people = clock.times(), sum(map(len, boxes))
        self._costs.learn_crops(people, 1e3 * (time.perf_counter() - begin))
        results = []
        for i, (frame, followed) in enumerate(zip(frames, all_followed, strict=True)):
            clock = self._clock()
            found = followed.after(frame, wanted[i], poses[i], clock)
            share = len(boxes[i]) / people if people else 1 / len(frames)
            times = spent[i].plus(together, share).plus(clock.times(), 1)
            results.append(FrameResult(frame, *found, times, networks.skeleton, shared))
            self._warn(followed)
        return results

    def _warn(self, followed: Following) -> None:
        if followed.cannot_hold and not self._warned:
            self._warned = True
            settings = self._settings
            say(
                f"{settings.budget_ms:g} ms a frame cannot hold poses of at most {settings.max_pose_age} "
                "frames for so many people: some are carried on for longer, nobody is dropped"
            )

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
        self._following = self.begin(source.info)
        try:
            for frame in source:
                yield self.process(frame, self._following)
        finally:
            self._tally.update(self._following.counts())

    def stream_all(
        self, sources: Sequence[Source], ended: Ended = lambda source, broken: None
    ) -> Iterator[tuple[int, FrameResult]]:
        """The results of several sources at once, each with the number of its source.

        Frames that are there together go through the pose network together, which costs less than one after
        the other; what that takes is shared out among them by their people, so that `times.total` is what
        a frame cost, and `age` what it waited; of two sources and more, results say that it is `shared`.

        Args:
            sources: Opened, and closed by the caller.
            ended: Called with the number of a source that ended, and with what was lost on the way.
        """
        following = [self.begin(source.info) for source in sources]
        with ExitStack() as stack:
            together = stack.enter_context(Together(sources))
            stack.callback(lambda: [self._tally.update(followed.counts()) for followed in following])
            for frames, over in together:
                if frames:
                    followed = [following[i] for i in frames]
                    results = self._process(list(frames.values()), followed, shared=len(sources) > 1)
                    yield from zip(frames, results, strict=True)
                for i, broken in over.items():
                    ended(i, broken)

    def _next_frame(self, image: U8) -> Frame:
        index = self._processed
        return Frame(index, image, index / USUAL_FPS, time.perf_counter())

    def close(self) -> None:
        """Release the networks."""
        self._networks.close()

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
