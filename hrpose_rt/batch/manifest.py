"""What a batch knows of each of its videos, in a file that survives a kill at any moment."""

import errno
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from hrpose_rt.batch.names import MANIFEST, PAGE, SUMMARY, WORK
from hrpose_rt.batch.people_table import TABLE, partition
from hrpose_rt.batch.store import FolderStore, Store, UrlStore
from hrpose_rt.batch.videos import Video
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import atomic_write, make_writable
from hrpose_rt.sources.addresses import is_url
from hrpose_rt.structures import decode

SEND_S = 30.0  # between two copies of the file to a URL
RESERVED = (MANIFEST, TABLE, SUMMARY, PAGE, WORK, ".", "..")  # no folders of videos
MAX_BYTES = 200  # of the name of a folder: file systems have 255, and names of work in progress are longer
State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A video of a batch, as a line of its manifest has it.

    >>> from hrpose_rt.batch.manifest import Entry
    >>> Entry("match", "/films/match.mp4").state
    'waiting'

    Attributes:
        name: Its folder in the folder of the batch.
        source: The absolute path of the file.
        start, end: As in `Video`.
        state: "waiting", "running", "done" or "failed". A video whose file lost frames is "failed", and its
            folder has what could be read.
        frames: The frames that were run.
        people: The ids that were given.
        seconds: How long its steps took, added up.
        reason: Why it failed; empty if it did not.
        input: `Video.fingerprint` of the file that was run; empty before.
        settings: A hash of the settings it was run with; empty before.
    """

    name: str
    source: str
    start: float = 0.0
    end: float | None = None
    state: State = "waiting"
    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    reason: str = ""
    input: str = ""
    settings: str = ""

    @property
    def video(self) -> Video:
        """What it says of the file."""
        return Video(self.source, self.start, self.end, self.name)


class Manifest:
    """The entries of a batch, in a file with a line for each change; the last line of a video counts.

    Use `open_manifest`. A process that is killed leaves at most half a line, which is dropped when the file
    is opened again.

    Attributes:
        store: Where the batch is kept.
        folder: The folder of the file.
        entries: By name.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.folder = store, store.folder
        self.entries = {entry.name: entry for entry in read_manifest(self.folder)}
        self._file: BinaryIO | None = None
        self._sent_s = 0.0

    def add(self, videos: Iterable[Video]) -> list[Entry]:
        """The entries of these videos. New ones get a folder of their own; known ones keep theirs.

        A folder that is there and has no report of a batch stays as it is: its name is taken.
        """
        known = {(one.source, one.start, one.end): one for one in self.entries.values()}
        others = [name for name in self.store.names() if name not in self.entries]
        others = sorted({*others} - {*self.store.reports(others)})
        # Some file systems take A and a for one.
        taken = {name.lower() for name in (*self.entries, *RESERVED, *others)}
        found = []
        for video in videos:
            entry = known.get((video.path, video.start, video.end))
            if entry is None:
                label, count = _folder_name(video.label), 1
                name = label
                while name.lower() in taken:
                    count += 1
                    name = f"{label}-{count}"
                taken.add(name.lower())
                entry = Entry(name, video.path, video.start, video.end)
                self.entries[name] = entry
            found.append(entry)
        return found

    def rewrite(self) -> None:
        """Write the file with a line for each video."""
        with atomic_write(self.folder / MANIFEST) as file:
            file.write_text("".join(map(_line, self.entries.values())), encoding="utf-8")
        if self._file:
            self._file.close()
        self._file = open(self.folder / MANIFEST, "ab", buffering=0)
        self._send()

    def update(self, name: str, **changes: Any) -> Entry:
        """Change an entry, and add its line to the file."""
        assert self._file, "rewrite comes first"
        entry = self.entries[name] = replace(self.entries[name], **changes)
        self._append(_line(entry).encode())
        if time.monotonic() - self._sent_s >= SEND_S:
            with suppress(RunBroken):  # a storage that fails for a moment; the last copy has all lines
                self._send()
        return entry

    def _append(self, line: bytes) -> None:
        """Write a line, or nothing of it: a full disk takes a half, and the next would follow it."""
        assert self._file
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(end)
            path = self.folder / MANIFEST
            raise RunBroken(
                f"{path} cannot be written ({error.strerror}): make room, and run the batch again"
            ) from error

    def _send(self) -> None:
        self._sent_s = time.monotonic()
        self.store.send([MANIFEST])

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None
            self._send()


@contextmanager
def open_manifest(output: str | Path) -> Iterator[Manifest]:
    """Open the manifest of a batch for this process alone; the folder is created if needed.

    Args:
        output: The folder or the URL of the batch. Of a URL, only processes of this machine are kept out.

    Raises:
        BadInput: Another process works in the folder, or the folder or the manifest cannot be used.
    """
    from filelock import FileLock, Timeout

    store = UrlStore(str(output)) if is_url(str(output)) else FolderStore(Path(output))
    make_writable(store.folder / WORK, "choose another `output`")
    lock = FileLock(store.folder / WORK / "lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BadInput(f"another batch is at work in {output}: wait for its end, or stop it") from None
    try:
        if isinstance(store, UrlStore):
            store.fetch(MANIFEST)
        manifest = Manifest(store)
        try:
            yield manifest
        finally:
            manifest.close()
    finally:
        lock.release()


def read_manifest(folder: Path) -> list[Entry]:
    """The entries of a batch, which may be running; none if there is no manifest yet.

    Raises:
        BadInput: A line is no entry.
    """
    path = folder / MANIFEST
    if not path.exists():
        return []
    entries: dict[str, Entry] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):  # behind the last line feed is nothing, or half a line
        try:
            entry = decode(line, Entry)
        except ValueError as error:
            raise BadInput(
                f"line {number} of {path} is no entry of a batch ({error}): name another `output`"
            ) from error
        entries[entry.name] = entry
    return list(entries.values())


def _folder_name(label: str) -> str:
    """The label in UTF-8, as long as a folder's name may be, also the one in the table of people."""
    name = re.sub("[\ud800-\udfff]", "_", label)  # bytes that are no UTF-8
    while len(partition(name).encode()) > MAX_BYTES:
        name = name[:-1]
    return name


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), allow_nan=False) + "\n"
