"""The main loop: the people of each frame, their ids and poses, and the time of each step."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast, overload

from numpy.typing import ArrayLike

from hrpose_rt.budget import LatencyModel, measure_pose_latency
from hrpose_rt.config import Clip, Settings
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.networks import Networks, open_networks
from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.session import Session, check_fps, info_of
from hrpose_rt.sources.base import Source, is_source
from hrpose_rt.sources.multi import MultiSource, check_sources
from hrpose_rt.sources.open import Name, open_source
from hrpose_rt.sources.prefetch import read_ahead
from hrpose_rt.sources.single_image import ImageLike, ImageList, to_frame
from hrpose_rt.stream_state import StreamState, open_stream_state
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking.library_trackers import check_installed
from hrpose_rt.types import U8, Frame, Poses, SourceInfo, check_boxes, check_image

DEFAULT_FPS = 30.0  # of images whose rate the caller does not give
OnSourceEnd = Callable[[int, RunBroken | None], None]


class PosePipeline:
    """Frames in, results out. A context manager.

    >>> import numpy as np
    >>> from hrpose_rt import PosePipeline
    >>> with PosePipeline() as pipeline:
    ...     result = pipeline.process(np.zeros((480, 640, 3), np.uint8))
    >>> len(result)
    0

    Threads may share it. They take turns at its networks, and each session has its own people.

    Args:
        settings: The networks, and how to run them.
        networks: Used instead of the networks in the settings.
        clock: Creates the clock that times a frame.

    Raises:
        HrposeError: A network cannot be opened; the message says what to do.
    """

    def __init__(
        self,
        settings: Settings = Settings(),
        networks: Networks | None = None,
        clock: Callable[[], StageClock] = StageClock,
    ) -> None:
        if not isinstance(settings, Settings):
            raise BadInput(f"`settings` are a Settings, not {type(settings).__name__}: Settings(pose=...)")
        check_installed(settings.tracker)
        self._settings, self._clock = settings, clock
        self._stats, self._warned = Counter[str](), False
        with ExitStack() as stack:
            self._networks = networks or stack.enter_context(open_networks(settings))
            estimator = self._networks.estimator
            self._latency = measure_pose_latency(estimator) if settings.budget_ms else LatencyModel()
            stack.pop_all()

    @property
    def info(self) -> RunInfo:
        """Both networks with their runtimes, and the machine."""
        return self._networks.info

    @property
    def facts(self) -> dict[str, object]:
        """Models, runtime, precision and machine, by the keys of JSON lines and reports."""
        return self._networks.info.to_dict()

    @overload
    def process(self, image: ImageLike) -> FrameResult: ...  # type: ignore[overload-overlap]  # str
    @overload
    def process(self, image: ImageList) -> list[FrameResult]: ...

    def process(self, image: ImageLike | ImageList) -> FrameResult | list[FrameResult]:
        """Find the people of one image. Nothing is carried from one image to the next.

        Args:
            image: (H, W, 3) uint8 BGR, a `Frame`, the path of an image file, or a Pillow image. A list or
                tuple of these gives a list. Frames of a video go to `stream` or a `session`.

        Raises:
            BadInput: The image is not valid, or the pipeline is closed.
        """
        if isinstance(image, list | tuple):
            return [self.process(one) for one in image]
        frame = to_frame(cast(ImageLike, image))
        return self._process([frame], [self._open_state(info_of(frame.image, 1.0, is_video=False))])[0]

    def session(self, fps: float = DEFAULT_FPS) -> Session:
        """Start a video that you feed frame by frame. It has its own ids.

        Args:
            fps: Frames per second.
        """
        return self._session(check_fps(fps))

    def begin(self, info: SourceInfo) -> Session:
        """Start a session for the frames of a source. It is warmed up before the first frame."""
        return self._session(check_fps(info.fps), self._open_state(info, warm_up=True))

    def _session(self, fps: float, state: StreamState | None = None) -> Session:
        return Session(
            fps,
            open_state=partial(self._open_state, warm_up=True),
            process=lambda frame, of: self._process([frame], [of])[0],
            ended=self._end,
            state=state,
        )

    def _open_state(self, info: SourceInfo, warm_up: bool = False) -> StreamState:
        with self._networks.in_use() as networks:
            state = open_stream_state(
                self._settings, info, networks.detector, networks.skeleton, self._latency
            )
            if warm_up:
                networks.detector.warm_up((info.height, info.width), state.max_tiles)
            return state

    def _end(self, state: StreamState) -> None:
        state.close()
        with self._networks.lock:
            self._stats.update(state.stats())

    def tracking_stats(self) -> dict[str, Any]:
        """Tracker, budget, and counts over all finished videos: detections, tiles, stale poses."""
        return {"tracker": self._settings.tracker, "budget_ms": self._settings.budget_ms, **self._stats}

    def _process(
        self, frames: Sequence[Frame], states: Sequence[StreamState], shared: bool = False
    ) -> list[FrameResult]:
        """Process frames of different sources, which share pose batches."""
        with self._networks.in_use() as networks:
            return self._process_with(networks, frames, states, shared)

    def _process_with(
        self, networks: Networks, frames: Sequence[Frame], states: Sequence[StreamState], shared: bool
    ) -> list[FrameResult]:
        rows, detect_times = [], []
        for frame, state in zip(frames, states, strict=True):
            clock = self._clock()
            rows.append(state.begin_frame(frame, networks.detector, clock))
            detect_times.append(clock.times(frame.read_ms))
        clock, begin = self._clock(), time.perf_counter()
        boxes = [state.boxes[r] for state, r in zip(states, rows, strict=True)]
        poses = networks.estimator.estimate_all([frame.image for frame in frames], boxes, clock)
        for estimated, frame_boxes in zip(poses, boxes, strict=True):
            if len(estimated) != len(frame_boxes):
                raise BadInput(f"the estimator gave {len(estimated)} poses for {len(frame_boxes)} boxes")
        pose_times, posed = clock.times(), sum(map(len, boxes))
        self._latency.update_pose(posed, 1e3 * (time.perf_counter() - begin))
        results = []
        for i, (frame, state) in enumerate(zip(frames, states, strict=True)):
            clock = self._clock()
            people = state.finish_frame(rows[i], poses[i], clock)
            share = len(boxes[i]) / posed if posed else 1 / len(frames)
            times = detect_times[i].plus(pose_times, share).plus(clock.times(), 1)
            results.append(
                FrameResult(
                    frame=frame,
                    detections=people.detections,
                    track_ids=people.track_ids,
                    poses=people.poses,
                    times=times,
                    skeleton=networks.skeleton,
                    shared=shared,
                )
            )
            self._warn(state)
        return results

    def _warn(self, state: StreamState) -> None:
        if state.over_budget and not self._warned:
            self._warned = True
            settings = self._settings
            say(
                f"a budget of {settings.budget_ms:g} ms is too small to refresh every pose within "
                f"{settings.max_pose_age} frames (`max_pose_age`): older poses are propagated, no one is "
                "dropped"
            )

    def estimate(self, image: U8, boxes: ArrayLike) -> Poses:
        """Estimate the poses of the people in your boxes.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) xyxy in pixels; they may extend beyond the image.

        Raises:
            BadInput: A box is not finite, has no area, or lies outside the image.
        """
        check_image(image)
        rows = check_boxes(boxes, image)
        with self._networks.in_use() as networks:
            return networks.estimator.estimate(image, rows, StageClock())

    def stream(self, source: Name | Source) -> Iterator[FrameResult]:
        """Yield the result of each frame of a source. The source has its own ids.

        Args:
            source: Anything that `open_source` takes, or an opened source that the caller closes.

        Raises:
            BadInput: The source is not valid, or cannot be opened.
            RunBroken: The source lost frames; raised after the last one.
        """
        with ExitStack() as stack:
            opened = source if is_source(source) else stack.enter_context(_open_ahead(source))
            session = stack.enter_context(self.begin(opened.info)) if opened.info.width else None
            for frame in opened:
                session = session or stack.enter_context(self.begin(opened.info))  # it answered late
                yield session.process(frame)

    def stream_all(
        self, sources: Sequence[Source], ended: OnSourceEnd = lambda source, broken: None
    ) -> Iterator[tuple[int, FrameResult]]:
        """Yield the results of several sources in parallel, each with the number of its source.

        Frames that arrive together share a pose batch, which costs less than single frames. They share
        its cost by number of people: `times.total` is the cost of a frame, `age` includes waiting. With two
        or more sources, the results are marked `shared`.

        Args:
            sources: Opened sources; the caller closes them.
            ended: Called with the number of a source that ended, and the error for lost frames, if any.
        """
        sources = check_sources(sources)
        with ExitStack() as stack:
            states: dict[int, StreamState] = {}

            def state_of(i: int) -> StreamState:
                if i not in states:
                    states[i] = self._open_state(sources[i].info, warm_up=True)
                    stack.callback(self._end, states[i])
                return states[i]

            for i, source in enumerate(sources):
                if source.info.width:  # 0 until the source has answered
                    state_of(i)
            for frames, over in stack.enter_context(MultiSource(sources)):
                if frames:
                    results = self._process(
                        list(frames.values()), list(map(state_of, frames)), shared=len(sources) > 1
                    )
                    yield from zip(frames, results, strict=True)
                for i, error in over.items():
                    ended(i, error)

    def close(self) -> None:
        """Finish the current frame, then close the networks. A second call does nothing."""
        self._networks.close()

    def __enter__(self) -> "PosePipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(
    source: Name | Source, settings: Settings = Settings(), clip: Clip = Clip()
) -> Iterator[FrameResult]:
    """Yield the result of each frame of a video file, image, folder of images or camera.

    >>> from hrpose_rt import Clip, stream
    >>> for result in stream("video.mp4", clip=Clip(end=10)):
    ...     boxes, keypoints = result.detections.boxes, result.poses.keypoints

    Args:
        source: Anything that `open_source` takes, or an opened source.
        settings: The networks, and how to run them.
        clip: The part of the source to process; an opened source has its own.

    Raises:
        HrposeError: The source or a network cannot be opened (raised before the first frame), or the
            source lost frames (raised after the last).
    """
    with ExitStack() as stack:
        opened = stack.enter_context(source if is_source(source) else _open_ahead(source, clip))
        yield from stack.enter_context(PosePipeline(settings)).stream(opened)


@contextmanager
def _open_ahead(source: Name | Source, clip: Clip = Clip()) -> Iterator[Source]:
    """Open a source and read it ahead. This is safe because nothing else reads it."""
    with open_source(cast(Name, source), clip) as opened, read_ahead(opened) as ahead:
        yield ahead
