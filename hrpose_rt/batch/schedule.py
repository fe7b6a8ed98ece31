"""The order of the work: which tasks a batch has, and what follows from the end of each."""

import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from hrpose_rt.batch.manifest import Entry, Manifest
from hrpose_rt.batch.names import WORK
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.scratch import remove_left
from hrpose_rt.batch.split import Part
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.videos import Video
from hrpose_rt.batch.workers import Pool, Progress
from hrpose_rt.errors import BadInput, RunBroken

ASKED_AT_ONCE = 16  # files whose fingerprint is taken
ATTEMPTS = 2  # at a task whose worker dies
COPIED = ("state", "reason", "frames", "people", "seconds", "input", "settings")  # from report to manifest


@dataclass(frozen=True, slots=True)
class Redo:
    """Which videos are run again.

    Attributes:
        failed: Those that failed.
        changed: Those that were run with other settings, or whose file has changed.
    """

    failed: bool = False
    changed: bool = False


class View(Protocol):
    """Shows the progress of a batch."""

    def began(self, worker: int, task: Task) -> None:
        """A worker has begun a task."""

    def progress(self, progress: Progress) -> None:
        """A worker tells how far its task is."""

    def ended(self, outcome: Outcome) -> None:
        """A task has ended."""

    def finished(self, entry: Entry) -> None:
        """A video is done, or has failed."""

    def tick(self) -> None:
        """Time has passed."""


def waiting_of(manifest: Manifest, videos: Sequence[Video], options: Options, redo: Redo) -> list[Entry]:
    """Bring the manifest up to date, and return the entries that are to be run, in their order.

    What is done counts by the report in the folder of the video, which is there only if all of it is.

    Raises:
        BadInput: Videos were run with other settings, or their files have changed, and `redo` leaves these
            out; the message names the differences.
    """
    waiting, changes = [], Counter[str]()
    entries = manifest.add(videos)
    reports = manifest.store.reports([entry.name for entry in entries])
    prints = _fingerprints([entry for entry in entries if entry.name in reports])
    for entry in entries:
        report = reports.get(entry.name, {})
        known = {name: report[name] for name in COPIED if name in report}
        if not report and entry.state == "failed":
            known = {"state": "failed"}
        differences = _differences(report, prints.get(entry.name), options)
        changes.update(differences if not redo.changed else ())
        again = (differences and redo.changed) or (known.get("state") == "failed" and redo.failed)
        if known and not again:
            entry = manifest.entries[entry.name] = replace(entry, **known)
            continue
        entry = manifest.entries[entry.name] = replace(entry, state="waiting", reason="")
        waiting.append(entry)
    if changes:
        what, count = changes.most_common(1)[0]
        where = manifest.store.url or manifest.folder
        raise BadInput(
            f"{where} has videos of an earlier call ({count}), and since then {what}: "
            "add `overwrite` to run them again, or name another `output`"
        )
    manifest.rewrite()
    return waiting


def _fingerprints(entries: Sequence[Entry]) -> dict[str, str]:
    """By name, without those that cannot be read now. Storages elsewhere are asked for several at once."""

    def ask(entry: Entry) -> tuple[str, str]:
        with suppress(OSError):  # a file that has gone is no reason to run it
            return entry.name, entry.video.fingerprint()
        return entry.name, ""

    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        return {name: one for name, one in threads.map(ask, entries) if one}


def _differences(report: dict[str, Any], fingerprint: str | None, options: Options) -> list[str]:
    """What has changed since the report of a video was written, in one sentence of a list."""
    if not report:
        return []
    if report["settings"] != options.key():
        return [", ".join(options.changes(report["options"]))]
    return ["the files have changed"] if fingerprint and fingerprint != report["input"] else []


@dataclass(slots=True)
class _Film:
    """A video whose parts are run one by one."""

    entry: Entry
    parts: list[tuple[Part, Path]]
    left: int = 0


@dataclass(slots=True)
class Schedule:
    """Runs the videos of a batch on a pool.

    Args:
        manifest: Where the state of each is kept.
        options: What is done with each.
        view: Shows the progress.
    """

    manifest: Manifest
    options: Options
    view: View
    _queue: deque[Task] = field(default_factory=deque)
    _films: dict[str, _Film] = field(default_factory=dict)
    _attempts: Counter[tuple[str, Any]] = field(default_factory=Counter)
    _token: str = field(default_factory=lambda: f"{os.getpid():x}-{time.time_ns():x}")
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _open: int = 0

    def run(self, pool: Pool, waiting: Sequence[Entry]) -> None:
        """Run these videos to their ends. An interruption leaves the others as they were."""
        self._clear(keep={self._parts_folder(entry) for entry in waiting if self.options.split_s})
        self._queue.extend(self._task(entry) for entry in waiting)
        self._open = len(waiting)
        try:
            self._start(pool)
            for event in pool.events() if self._open else ():
                if isinstance(event, Outcome):
                    self._after(event)
                elif isinstance(event, Progress):
                    self.view.progress(event)
                self.view.tick()
                self._start(pool)
                if not self._open:
                    break
        finally:
            pool.close()
            remove_left()
            for entry in list(self.manifest.entries.values()):
                if entry.state == "running":
                    self.manifest.update(entry.name, state="waiting")
        with suppress(RunBroken):  # a storage that fails now; the next call clears it
            self._clear()

    def _start(self, pool: Pool) -> None:
        for worker in pool.free():
            if not self._queue:
                return
            task = self._queue.popleft()
            if self.manifest.entries[task.name].state != "running":
                self.manifest.update(task.name, state="running")
            self.view.began(worker, task)
            pool.start(worker, task)

    def _after(self, outcome: Outcome) -> None:
        self.view.ended(outcome)
        task = outcome.task
        if self.manifest.entries[task.name].state == "failed":
            return  # another part of it has failed
        if outcome.died:
            self._died(task)
        elif outcome.cuts:
            self._cut(task, outcome.cuts)
        elif not task.part:
            self._finish(outcome)
        elif outcome.reason:
            self._fail(task.name, outcome.reason)
        else:
            self._part_done(self._films[task.name])

    def _died(self, task: Task) -> None:
        key = (task.name, task.part or bool(task.parts))
        self._attempts[key] += 1
        if self._attempts[key] < ATTEMPTS:
            # A worker that only seemed to die, on a machine out of reach, writes into another folder.
            self._queue.appendleft(replace(task, folder=self._folder(task.name)))
        else:
            self._fail(
                task.name, f"its worker died {ATTEMPTS} times, perhaps for want of memory: run it by itself"
            )

    def _cut(self, task: Task, cuts: tuple[Part, ...]) -> None:
        """Queue the parts of a video before all others. Those with a file are done, by an earlier call."""
        entry = self.manifest.entries[task.name]
        folder = self._parts_folder(entry)
        film = _Film(entry, [(part, folder / f"{i:05d}.npz") for i, part in enumerate(cuts)])
        open_parts = [part for part in film.parts if not self.manifest.store.has(part[1])]
        film.left, self._films[task.name] = len(open_parts), film
        tasks = [replace(task, part=part) for part in open_parts]
        self._queue.extendleft(reversed(tasks))
        if not tasks:
            self._join(film)

    def _part_done(self, film: _Film) -> None:
        film.left -= 1
        if not film.left:
            self._join(film)

    def _join(self, film: _Film) -> None:
        self._queue.appendleft(replace(self._task(film.entry), parts=tuple(film.parts)))

    def _finish(self, outcome: Outcome) -> None:
        """Put what is whole into its place, then tell the manifest."""
        task, report = outcome.task, outcome.report
        if not report:
            self._fail(task.name, outcome.reason)
            return
        self.manifest.store.accept(task.folder, task.name)
        self._ended(task.name, {name: report[name] for name in COPIED})

    def _fail(self, name: str, reason: str) -> None:
        self._queue = deque(task for task in self._queue if task.name != name)
        self._ended(name, {"state": "failed", "reason": reason})

    def _ended(self, name: str, changes: dict[str, Any]) -> None:
        self._open -= 1
        film = self._films.pop(name, None)
        if film:
            self.manifest.store.remove(film.parts[0][1].parent)
        self.view.finished(self.manifest.update(name, **changes))

    @property
    def _work(self) -> Path:
        return self.manifest.folder.absolute() / WORK  # workers may be in another folder, on other machines

    def _task(self, entry: Entry) -> Task:
        return Task(entry.name, entry.video, self._folder(entry.name), url=self.manifest.store.url)

    def _folder(self, name: str) -> Path:
        """A new folder for the outputs of a video."""
        return self._work / f"{name}-{self._token}-{next(self._numbers)}"

    def _parts_folder(self, entry: Entry) -> Path:
        """The folder for the parts of a video, which a later call with the same settings finds again."""
        try:
            key = f"{entry.video.fingerprint()}-{self.options.key()}"
        except OSError:  # the worker will say what is wrong with the file
            key = ""
        return self._work / f"{entry.name}-{key}.parts"

    def _clear(self, keep: Collection[Path] = ()) -> None:
        """Remove what killed calls have left, but the parts in `keep`."""
        for path in self.manifest.store.left():
            if path not in keep:
                self.manifest.store.remove(path)
