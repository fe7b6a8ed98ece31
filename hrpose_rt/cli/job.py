"""The work of `hrpose-rt run`: sources, what is written of each, and the report."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from hrpose_rt.cli.display import LiveView
from hrpose_rt.cli.exit import fail
from hrpose_rt.cli.outputs import (
    check_distinct,
    check_free,
    check_writable,
    distinct_stems,
    picture_output,
)
from hrpose_rt.console import say
from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.errors import BadInput, RunBroken, no_frames
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.queues import QueueTimes, frames_that_fit
from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.async_writer import AsyncWriter, Job
from hrpose_rt.sinks.base import Sink
from hrpose_rt.sinks.coco import read_image_ids
from hrpose_rt.sinks.encoders import check_encoder
from hrpose_rt.sinks.formats import Output, open_outputs, result_output
from hrpose_rt.sinks.recorder import Recorder
from hrpose_rt.sinks.text import check_not_stdout
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.images import Images
from hrpose_rt.sources.prefetch import read_ahead
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import SourceInfo

ViewerFactory = Callable[[SourceInfo, str], Sink]  # what shows a source, under its name; it outlives it


class RunJob:
    """The sources of a run and what is written of each.

    Args:
        sources: Opened.
        save: Where annotated pictures go, if anywhere.
        texts: Where each of `formats.RESULT_FORMATS` goes, if anywhere.
        overwrite: Whether files that exist are replaced.
        audio: Whether saved videos keep the sound of theirs.
        annotations: Whose ids of images COCO's results have, if any.
        encoder: What encodes saved videos, of `encoders.ENCODERS`.
    """

    def __init__(
        self,
        sources: list[Source],
        save: str | None,
        texts: dict[str, str | None],
        overwrite: bool,
        audio: bool,
        annotations: Path | None = None,
        encoder: str = "x264",
    ) -> None:
        if annotations and not texts["coco"]:
            raise BadInput(
                "--annotations gives the images in --coco their ids: add --coco, or leave it out"
            )
        check_encoder(encoder)
        self._sources = sources
        self._stems = distinct_stems(sources)
        self._save, self._texts, self._overwrite, self._audio = save, texts, overwrite, audio
        self._encoder = encoder
        names = [name for source in sources if isinstance(source, Images) for name in source.file_names]
        self._image_ids = read_image_ids(annotations, names) if annotations else {}
        self.queues = {"read": QueueTimes(), "write": QueueTimes()}
        self.dropped = 0  # frames of live sources that were not taken in time

    @property
    def concurrent(self) -> bool:
        """Whether the sources run beside each other: one of them is live, and would not wait."""
        return len(self._sources) > 1 and any(source.info.is_live for source in self._sources)

    def check(self, report: Path | None, read: Iterable[str] = ()) -> None:
        """Raise BadInput, before anything is done, if a file is in the way.

        Args:
            report: Where the report goes, if anywhere.
            read: Files besides the sources that the run reads; no output may replace them.
        """
        files = [report] if report else []
        for source, stem in zip(self._sources, self._stems, strict=True):
            for target in self._targets(source, stem):
                files.extend(target.files)
        check_distinct(files)
        inputs = [*(source.info.name for source in self._sources), *read]
        for file in files:
            check_free(file, self._overwrite, inputs)
        if report:
            check_not_stdout(str(report), "report")
            check_writable(report)

    def run(
        self,
        pipeline: PosePipeline,
        table: LatencyTable,
        view: LiveView,
        viewers: Sequence[ViewerFactory],
        style: DrawStyle = DRAW_STYLE,
        in_caller: bool = False,
    ) -> int:
        """Run every source to its end, one after the other or `concurrent`.

        Args:
            style: How frames are drawn.
            in_caller: Whether to draw and write in the caller's thread, as a window needs; else a thread
                behind the networks does.

        Returns:
            1 if one of them lost frames, else 0.
        """
        status = 0
        everything = list(zip(self._sources, self._stems, strict=True))
        for group in [everything] if self.concurrent else [[one] for one in everything]:
            try:
                with ExitStack() as stack:
                    recorders = []
                    for source, stem in group:
                        sinks = self._open(source, stem, pipeline.info) if source.info.width else []
                        watching = [viewer(source.info, stem) for viewer in viewers]
                        recorders.append(Recorder(sinks, table, style, watching))
                        stack.enter_context(recorders[-1])
                        view.begin(stem, source.info)
                        stack.callback(view.end, stem)
                    group = [(stack.enter_context(self._ahead(source)), stem) for source, stem in group]
                    writer = None if in_caller else stack.enter_context(self._writer(group))
                    broken = self._run(pipeline, group, recorders, view, writer)
                status = max(status, *broken, 0)
            except RunBroken as error:
                status = fail(error)
        return status

    def _ahead(self, source: Source) -> AbstractContextManager[Source]:
        return read_ahead(source, self.queues["read"])

    def _writer(self, group: Sequence[tuple[Source, str]]) -> AsyncWriter:
        size = min(frames_that_fit(source.info) for source, _ in group)
        return AsyncWriter(size, self.queues["write"])

    def _run(
        self,
        pipeline: PosePipeline,
        group: Sequence[tuple[Source, str]],
        recorders: Sequence[Recorder],
        view: LiveView,
        writer: AsyncWriter | None,
    ) -> list[int]:
        """Run sources at once; the exit statuses of those that broke or gave no frame."""
        statuses: list[int] = []
        empty = {i for i, (source, _) in enumerate(group) if not source.info.is_live}
        live = any(source.info.is_live for source, _ in group)

        def submit(job: Job) -> None:
            if writer:
                writer.submit(job)
            else:
                job()

        def write(i: int, result: FrameResult) -> None:
            view.update(group[i][1], recorders[i].write(result))

        def ended(i: int, broken: RunBroken | None) -> None:
            submit(recorders[i].close)
            if broken:
                empty.discard(i)
                statuses.append(fail(broken))

        results: Iterable[tuple[int, FrameResult]]
        if len(group) == 1:
            results = ((0, result) for result in pipeline.stream(group[0][0]))
        else:
            results = pipeline.stream_all([source for source, _ in group], ended)
        sizes = [(source.info.width, source.info.height) for source, _ in group]
        resized: set[int] = set()  # the sources of which it was said: some change their size all the time
        for i, result in results:
            source, stem = group[i]
            self.dropped += result.frame.dropped
            empty.discard(i)
            if not sizes[i][0]:  # it had not answered
                recorders[i].add(self._open(source, stem, pipeline.info))
                sizes[i] = (source.info.width, source.info.height)
            submit(partial(write, i, result))
            if source.info.is_video and i not in resized and _size_wh(result) != sizes[i]:
                resized.add(i)
                _say_resized(stem, sizes[i], result)
            if writer and live:
                writer.catch_up(result.times.total / 1e3)
        return statuses + [fail(no_frames(group[i][0].info.name)) for i in sorted(empty)]

    def _open(self, source: Source, stem: str, run: RunInfo) -> list[Sink]:
        return open_outputs(self._targets(source, stem), run)

    def _targets(self, source: Source, stem: str) -> list[Output]:
        several = len(self._sources) > 1
        targets = []
        if self._save:
            targets.append(picture_output(self._save, source, stem, several, self._audio, self._encoder))
        for option, value in self._texts.items():
            if value:
                target = result_output(option, value, source.info, stem, several, self._image_ids)
                targets.append(target)
        return targets


def _size_wh(result: FrameResult) -> tuple[int, int]:
    height, width = result.frame.image.shape[:2]
    return width, height


def _say_resized(stem: str, first_wh: tuple[int, int], result: FrameResult) -> None:
    width, height = _size_wh(result)
    say(
        f"{stem}: from frame {result.frame.index} on pictures are {width}x{height}, before they were "
        f"{first_wh[0]}x{first_wh[1]}; a saved video keeps its first size, with black beside them"
    )
