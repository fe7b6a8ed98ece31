"""What a worker does: run a video or a part of one, or join parts."""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hrpose_rt.batch import people_table
from hrpose_rt.batch.delivery import Delivery
from hrpose_rt.batch.join import joined, with_pictures
from hrpose_rt.batch.names import REPORT
from hrpose_rt.batch.options import PARQUET, VIDEO, Options
from hrpose_rt.batch.scratch import Scratch
from hrpose_rt.batch.split import Part, PartWriter, StoredPart, cut
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.videos import Video
from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, HrposeError, RunBroken, last_line, no_frames
from hrpose_rt.paths import make_folder, write_json
from hrpose_rt.queues import frames_that_fit
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.async_writer import AsyncWriter
from hrpose_rt.sinks.formats import Output, open_outputs, result_output, video_output
from hrpose_rt.sinks.recorder import Recorder
from hrpose_rt.sinks.video import Audio
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.sources.addresses import is_url
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.open import open_source
from hrpose_rt.sources.prefetch import read_ahead
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import NO_ID, U8

TIME_EPSILON_S = 1e-6  # by which the time of a frame may be rounded
SCHEMA = 1  # of a video's report
PROGRESS_S = 0.5
Progress = Callable[[int, int | None], None]  # frames done, and all frames as far as known


@dataclass(slots=True)
class Tally:
    """Counts frames and ids, and tells how far the work is. A sink."""

    wants_picture = False
    progress: Progress
    of: int | None = None
    frames: int = 0
    ids: set[int] = field(default_factory=set)
    _told_s: float = 0.0

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        self.frames += 1
        self.ids.update(result.track_ids[result.track_ids != NO_ID].tolist())
        if (now := time.perf_counter()) - self._told_s >= PROGRESS_S:
            self._told_s = now
            self.progress(self.frames, self.of)

    def close(self) -> None:
        """See `Sink.close`."""


class Worker:
    """Does one task after the other with one pipeline. A context manager that closes it.

    Args:
        options: What is done with each video.

    Raises:
        HrposeError: A network cannot be opened.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._scratch = Scratch()
        self._pipeline = options.open_pipeline(options.settings)

    def do(self, task: Task, progress: Progress) -> Outcome:
        """Do a task. Whatever goes wrong is in the outcome, so that the next task can follow."""
        try:
            return self._do_at_url(task, progress) if task.url else self._do(task, progress)
        except HrposeError as error:
            return Outcome(task, str(error))
        except Exception as error:  # one video must not end the night's work, whatever a library did to it
            return Outcome(task, f"{type(error).__name__}: {last_line(error)}")

    def _do(self, task: Task, progress: Progress) -> Outcome:
        said = io.StringIO()  # messages belong into the report, the terminal shows the progress of all
        with redirect_stderr(said):
            if task.part:
                return self._run_part(task, *task.part, progress, said)
            return (self._join if task.parts else self._run_video)(task, progress, said)

    def _do_at_url(self, task: Task, progress: Progress) -> Outcome:
        """Do a task in a folder of this worker, and send what it has written."""
        with Delivery(task.url, self._scratch.folder / task.folder.name) as delivery:
            parts = tuple((part, delivery.fetched(path)) for part, path in task.parts)
            part = task.part and (task.part[0], delivery.folder / task.part[1].name)
            here = replace(task, folder=delivery.folder / "video", part=part, parts=parts)
            outcome = self._do(here, progress)
            if outcome.report:
                delivery.send_video(here.folder, task.name)
            elif part and task.part and not outcome.reason:
                delivery.send_part(part[1], task.part[1])
        return replace(outcome, task=task)

    def close(self) -> None:
        """Close the pipeline, and remove what was fetched."""
        self._scratch.close()
        self._pipeline.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_video(self, task: Task, progress: Progress, said: io.StringIO) -> Outcome:
        begin = time.perf_counter()
        with self._open(task.video) as source:
            if cuts := cut(task.video, source.info, self._options.split_s):
                return Outcome(task, cuts=tuple(cuts))
            record = _Record(Tally(progress, source.info.frames))
            with read_ahead(source) as ahead:
                self._record(task, source, self._pipeline.stream(ahead), record)
        record.seconds = time.perf_counter() - begin
        return self._report(task, record, said)

    def _run_part(
        self, task: Task, part: Part, path: Path, progress: Progress, said: io.StringIO
    ) -> Outcome:
        begin, record = time.perf_counter(), _Record(Tally(progress))
        clip = Clip(part.begin, part.end, self._options.stride)
        with self._open(task.video, clip) as source, read_ahead(source) as ahead:
            writer, record.tally.of = PartWriter(), source.info.frames
            try:
                for result in self._pipeline.stream(ahead):
                    writer.write(result)
                    if result.frame.time_s >= part.start - TIME_EPSILON_S:
                        age = 1e3 * (time.perf_counter() - result.frame.captured_s)
                        record.table.add(len(result), replace(result.times, age=age))
                    record.tally.write(result, result.frame.image)
            except RunBroken as error:
                record.reasons.append(str(error))
        record.seconds = time.perf_counter() - begin
        make_folder(path.parent)
        facts = record.facts() | {"messages": said.getvalue().splitlines()}
        writer.save(path, facts, tag=f"-{task.folder.name}")
        return Outcome(task)

    def _join(self, task: Task, progress: Progress, said: io.StringIO) -> Outcome:
        begin, skeleton = time.perf_counter(), find_skeleton(self._pipeline.info.pose.skeleton)
        facts: list[dict[str, Any]] = []

        def stored() -> Iterator[StoredPart]:
            for _, path in task.parts:  # one after the other: all of them may not fit into memory
                part = StoredPart(path)
                facts.append(part.facts)
                yield part

        with self._open(task.video) as source:
            record = _Record(Tally(progress, source.info.frames))
            results = joined(stored(), skeleton)
            with read_ahead(source) if VIDEO in self._options.outputs else nullcontext() as ahead:
                self._record(task, source, with_pictures(results, ahead) if ahead else results, record)
        record.table = LatencyTable()  # what was counted now has no networks in it
        for one in facts:
            record.add(one)
            said.write("".join(f"{line}\n" for line in one["messages"]))
        record.seconds += time.perf_counter() - begin
        return self._report(task, record, said)

    def _open(self, video: Video, clip: Clip | None = None) -> Source:
        path = self._scratch.fetched(video.path) if is_url(video.path) else video.path
        clip = clip or video.clip(self._options.stride)
        source = open_source(path, clip, hwaccel=self._options.hwaccel)
        if not source.info.is_video:
            raise BadInput(f"{video.path} is no video: hrpose-rt run takes images")
        return source

    def _record(
        self, task: Task, source: Source, results: Iterable[FrameResult], record: "_Record"
    ) -> None:
        """Write results to all outputs. If frames were lost, what is written stays, with the reason."""
        make_folder(task.folder)  # first, or a name with a dot would count as a file
        sinks = open_outputs(self._outputs(task, source), self._pipeline.info)
        try:
            with (
                Recorder([record.tally, *sinks], record.table, self._options.style) as recorder,
                AsyncWriter(frames_that_fit(source.info)) as writer,
            ):
                for result in results:
                    writer.submit(partial(recorder.write, result))
        except RunBroken as error:
            record.reasons.append(str(error))

    def _outputs(self, task: Task, source: Source) -> Iterator[Output]:
        info, folder = source.info, str(task.folder)
        if is_url(task.video.path):
            info = replace(info, name=task.video.shown)  # rather than that of the copy
        for name in self._options.outputs:
            if name == VIDEO:
                encoder = self._options.encoder
                yield video_output(folder, info, info.stem, True, lambda: _audio(source), encoder)
            elif name == PARQUET:
                file = task.folder / people_table.FILE
                yield Output((file,), partial(people_table.ParquetSink, file, info))
            else:
                yield result_output(name, folder, info, info.stem, True)

    def _report(self, task: Task, record: "_Record", said: io.StringIO) -> Outcome:
        """Write the report of a video, without which nothing counts as whole."""
        video = task.video
        if not (record.reasons or record.tally.frames):
            record.reasons.append(str(no_frames(video.shown)))
        reason = "; ".join(dict.fromkeys(record.reasons))
        report = {
            "hrpose": version("hrpose-rt"),
            "schema": SCHEMA,
            "state": "failed" if reason else "done",
            "reason": reason,
            "source": video.shown,
            "start": video.start,
            "end": video.end,
            "input": video.fingerprint(),
            "settings": self._options.key(),
            "frames": record.tally.frames,
            "people": len(record.tally.ids),
            "seconds": round(record.seconds, 3),
            "messages": list(dict.fromkeys(said.getvalue().splitlines())),
            "options": self._options.facts(),
            "run": self._pipeline.info.to_dict(),
            "latency_ms": record.table.to_dict(),
            "histograms": record.table.histograms(),
        }
        write_json(task.folder / REPORT, report)
        return Outcome(task, reason, report=report)


def _audio(source: Source) -> Audio | None:
    from hrpose_rt.sources.video import VideoFile

    return source.open_audio() if isinstance(source, VideoFile) else None


@dataclass(slots=True)
class _Record:
    """What is counted while a video or a part is run."""

    tally: Tally
    table: LatencyTable = field(default_factory=LatencyTable)
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "histograms": self.table.histograms(),
            "reasons": self.reasons,
            "seconds": self.seconds,
        }

    def add(self, facts: Mapping[str, Any]) -> None:
        """Add the `facts` of another one."""
        self.table.merge(LatencyTable.from_histograms(facts["histograms"]))
        self.reasons += facts["reasons"]
        self.seconds += facts["seconds"]
