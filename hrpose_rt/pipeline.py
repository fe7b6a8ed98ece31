"""The loop: a frame's people, their ids, their poses, and what each step cost."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeGuard, cast

from numpy.typing import ArrayLike

from hrpose_rt.budget import Costs, probe
from hrpose_rt.config import Clip, Settings
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.networks import Networks, open_networks
from hrpose_rt.result import FrameResult
from hrpose_rt.session import Following, check
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.multi import Together
from hrpose_rt.sources.open import Name, open_source
from hrpose_rt.timing import StageClock
from hrpose_rt.types import U8, Frame, Poses, SourceInfo, check_boxes, check_image

USUAL_FPS = 30.0  # of pictures that the caller brings without saying
Ended = Callable[[int, RunBroken | None], None]


class PosePipeline:
    """Frames in, results out. A context manager.

    Threads may share it: they take turns at its networks, and each session has people of its own.

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
        if not isinstance(settings, Settings):
            raise BadInput(f"`settings` are a Settings, not {type(settings).__name__}: Settings(pose=...)")
        self._settings, self._clock = settings, clock
        check(settings)
        self._tally: Counter[str] = Counter()
        self._warned = False
        with ExitStack() as stack:
            self._networks = networks or stack.enter_context(open_networks(settings))
            self._costs = probe(self._networks.estimator) if settings.budget_ms else Costs()
            stack.pop_all()

    @property
    def facts(self) -> dict[str, object]:
        """Models, runtime, precision and machine, as the files state them."""
        return self._networks.facts

    def process(self, image: U8 | Frame) -> FrameResult:
        """The people of a picture by itself: nobody in it is known from the one before.

        Args:
            image: (H, W, 3) uint8 BGR, or a `Frame`. Frames of a film go to `stream` or a `session`.

        Raises:
            BadInput: It is no such picture, or the pipeline is closed.
        """
        frame = image if isinstance(image, Frame) else Frame(0, image, 0.0, time.perf_counter())
        return self._process([frame], [self._follow(_info(frame.image, 1.0, film=False))])[0]

    def session(self, fps: float = USUAL_FPS) -> "Session":
        """A film that is fed picture by picture, with ids of its own.

        Args:
            fps: Pictures a second.
        """
        if not 0 < fps < math.inf:
            raise BadInput(f"fps is how many pictures there are a second, more than 0, not {fps}")
        return Session(self, fps)

    def begin(self, info: SourceInfo) -> "Session":
        """A session for the frames of a source, ready before the first comes."""
        return Session(self, info.fps, self._follow(info, warm=True))

    def _follow(self, info: SourceInfo, warm: bool = False) -> Following:
        with self._networks.in_use() as networks:
            following = Following(self._settings, info, networks.detector, networks.skeleton, self._costs)
            if warm:
                networks.detector.warm((info.height, info.width), following.most_tiles)
            return following

    def _ended(self, following: Following) -> None:
        with self._networks.lock:
            self._tally.update(following.counts())

    def following_facts(self) -> dict[str, Any]:
        """How people were followed, all sources together: looks, tiles, and poses that got too old."""
        return {"tracker": self._settings.tracker, "budget_ms": self._settings.budget_ms, **self._tally}

    def _process(
        self, frames: Sequence[Frame], all_followed: Sequence[Following], shared: bool = False
    ) -> list[FrameResult]:
        """Frames of different sources, each with its own people, who share the pose batches."""
        with self._networks.in_use() as networks:
            return self._process_with(networks, frames, all_followed, shared)

    def _process_with(
        self,
        networks: Networks,
        frames: Sequence[Frame],
        all_followed: Sequence[Following],
        shared: bool,
    ) -> list[FrameResult]:
        wanted, spent = [], []
        for frame, followed in zip(frames, all_followed, strict=True):
            clock = self._clock()
            wanted.append(followed.before(frame, networks.detector, clock))
            spent.append(clock.times(frame.read_ms))
        clock, begin = self._clock(), time.perf_counter()
        boxes = [f.boxes[rows] for f, rows in zip(all_followed, wanted, strict=True)]
        poses = networks.estimator.estimate_all([frame.image for frame in frames], boxes, clock)
        for of, rows in zip(poses, boxes, strict=True):
            if len(of) != len(rows):
                raise BadInput(f"the estimator gave {len(of)} poses for {len(rows)} boxes")
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
        rows = check_boxes(boxes, image)
        with self._networks.in_use() as networks:
            return networks.estimator.estimate(image, rows, StageClock())

    def stream(self, source: Name | Source) -> Iterator[FrameResult]:
        """The results of a source, frame after frame, with ids of its own.

        Args:
            source: Opened, and closed by the caller; or what `open_source` takes.

        Raises:
            BadInput: It is no source, or cannot be opened.
            RunBroken: After the last frame, if the source lost some.
        """
        with ExitStack() as stack:
            opened = source if _is_opened(source) else stack.enter_context(_open(source))
            session = stack.enter_context(self.begin(opened.info))
            for frame in opened:
                yield session.process(frame)

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
        with ExitStack() as stack:
            following: dict[int, Following] = {}

            def followed(i: int) -> Following:
                if i not in following:
                    following[i] = self._follow(sources[i].info, warm=True)
                    stack.callback(self._ended, following[i])
                return following[i]

            for i, source in enumerate(sources):
                if source.info.width:  # else it has not answered yet
                    followed(i)
            together = stack.enter_context(Together(sources))
            for frames, over in together:
                if frames:
                    results = self._process(
                        list(frames.values()), list(map(followed, frames)), shared=len(sources) > 1
                    )
                    yield from zip(frames, results, strict=True)
                for i, broken in over.items():
                    ended(i, broken)

    def close(self) -> None:
        """Release the networks, once the frame at work is done; closing twice is closing once."""
        self._networks.close()

    def __enter__(self) -> "PosePipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """A film that is fed picture by picture. A context manager.

    >>> with pipeline.session(fps=25) as session:  # doctest: +SKIP
    ...     result = session.process(image)

    Threads may share it; its frames are then one after the other in the order in which they came.

    Args:
        pipeline: Whose networks it uses.
        fps: Pictures a second.
        following: What is remembered from frame to frame; begun with the first of them if None.
    """

    def __init__(self, pipeline: PosePipeline, fps: float, following: Following | None = None) -> None:
        self._pipeline, self._fps, self._following = pipeline, fps, following
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False

    def process(self, image: U8 | Frame) -> FrameResult:
        """The people of the film's next frame.

        Args:
            image: (H, W, 3) uint8 BGR, taken 1 / fps after the one before; or a `Frame`, which says when.

        Raises:
            BadInput: It is no such picture, or the session or its pipeline is closed.
        """
        with self._lock:
            if self._closed:
                raise BadInput("the session is closed: begin another")
            frame = image if isinstance(image, Frame) else self._numbered(image)
            if self._following is None:
                info = _info(frame.image, self._fps, film=True)
                self._following = self._pipeline._follow(info, warm=True)
            self._count += 1
            return self._pipeline._process([frame], [self._following])[0]

    def _numbered(self, image: U8) -> Frame:
        return Frame(self._count, image, self._count / self._fps, time.perf_counter())

    def counts(self) -> dict[str, float]:
        """How it went so far; see `Following.counts`."""
        return self._following.counts() if self._following else {}

    def close(self) -> None:
        """The film ends; closing twice is closing once."""
        with self._lock:
            if self._following and not self._closed:
                self._pipeline._ended(self._following)
            self._closed = True

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(
    source: Name | Source, settings: Settings = Settings(), clip: Clip = Clip()
) -> Iterator[FrameResult]:
    """The results of a video file, image, folder of images or camera, frame after frame.

    Args:
        source: What `open_source` takes, or an opened source.
        settings: Which networks, and how they are run.
        clip: Which part of the source to take; an opened source has its own.

    Raises:
        HrposeError: Before the first frame if source or networks cannot be opened, after the last if
            the source lost frames.
    """
    opened = source if _is_opened(source) else _open(source, clip)
    with opened, PosePipeline(settings) as pipeline:
        yield from pipeline.stream(opened)


def _open(source: Name | Source, clip: Clip = Clip()) -> Source:
    return open_source(cast(Name, source), clip)


def _is_opened(source: object) -> TypeGuard[Source]:
    """Whether it has what a source is asked for, whoever made it."""
    return isinstance(getattr(source, "info", None), SourceInfo) and isinstance(source, Iterable)


def _info(image: U8, fps: float, film: bool) -> SourceInfo:
    """Of pictures without a source, the first of which this is."""
    h, w = image.shape[:2]
    return SourceInfo("", "", w, h, fps, None, film=film, live=False)
