"""The videos of a batch: from folders, patterns, lists and tables."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hrpose_rt.batch import remote
from hrpose_rt.batch.fingerprint import fingerprint_of_file
from hrpose_rt.batch.names import is_output
from hrpose_rt.config import Clip, seconds_of
from hrpose_rt.errors import BadInput
from hrpose_rt.paths import check_utf8
from hrpose_rt.sources.addresses import is_url
from hrpose_rt.sources.base import natural_order
from hrpose_rt.sources.open import VIDEO_SUFFIXES, expand

TABLES = (".csv", ".jsonl")
COLUMNS = ("source", "start", "end")


@dataclass(frozen=True, slots=True)
class Video:
    """A video file, or a part of it, to be run.

    >>> from hrpose_rt.batch.videos import Video
    >>> Video("/films/match.mp4", start=60, end=90).clip(stride=2)
    Clip(start=60.0, end=90.0, stride=2, max_frames=None, fps=None)

    Attributes:
        path: Its absolute path, or its URL.
        start, end: Seconds; the end is exclusive, None for the end of the file.
        label: The name of its folder of outputs, unless another video has that name.
    """

    path: str
    start: float = 0.0
    end: float | None = None
    label: str = ""

    @property
    def shown(self) -> str:
        """The path, or the URL without its query, for what is written and printed."""
        return remote.shown(self.path) if is_url(self.path) else self.path

    def clip(self, stride: int = 1) -> Clip:
        """What is read of the file: every `stride`-th frame."""
        return Clip(self.start, self.end, stride)

    def fingerprint(self) -> str:
        """A hash of the file's size, its first and its last MiB, in hex.

        Raises:
            OSError: The file cannot be read.
        """
        if is_url(self.path):
            return remote.fingerprint(self.path)
        return fingerprint_of_file(Path(self.path))


def find_videos(names: Iterable[str], clip: Clip = Clip()) -> list[Video]:
    """The videos that names stand for, each once.

    Args:
        names: Files, patterns, folders (searched with all folders in them), lists (.txt, a source a line),
            and tables: .csv with the columns source, start and end, or .jsonl with these keys. Paths in a
            list or a table are relative to its folder. Start and end may be missing. URLs of files, and of
            folders and patterns on storages that have these.
        clip: Start and end of the videos for which a table gives none.

    Raises:
        BadInput: A name stands for nothing, or a table has a wrong line; the message names it.
    """
    found: dict[tuple[str, float, float | None], Video] = {}
    for name in names:
        for video in _named(name, clip):
            found.setdefault((video.path, video.start, video.end), video)
    return list(found.values())


def _named(name: str, clip: Clip) -> Iterator[Video]:
    path = Path(name)
    if is_url(name):
        for url, below in remote.find(name):
            yield Video(url, clip.start, clip.end, "_".join(PurePosixPath(below).with_suffix("").parts))
        return
    if name.isdecimal() and not path.exists():
        raise BadInput(f"{name} is no file: batch takes videos that have an end, hrpose-rt run all others")
    if path.is_dir():
        yield from _in_folder(path, clip)
    elif path.suffix.lower() in TABLES and path.is_file():
        yield from _in_table(path, clip)
    else:
        for one in expand([name]):
            if is_url(one):
                yield from _named(one, clip)
            elif one == name and not path.exists():
                raise BadInput(f"{name} does not exist: check the path")
            elif Path(one).is_dir():
                yield from _in_folder(Path(one), clip)
            else:
                yield _video(Path(one), clip)


def _video(path: Path, clip: Clip, label: str = "") -> Video:
    check_utf8(path)
    try:
        resolved = path.resolve()
    except ValueError as error:  # it has a NUL
        raise BadInput(f"{path} does not exist: check the path") from error
    check_utf8(resolved)  # also the folders that it is in
    return Video(str(resolved), clip.start, clip.end, label or path.stem)


def _in_folder(folder: Path, clip: Clip) -> Iterator[Video]:
    files = [
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
        and not is_output(file.absolute(), os.path.isfile)
    ]
    if not files:
        raise BadInput(f"{folder} holds no videos: hrpose-rt run takes images")
    for file in sorted(files, key=lambda file: natural_order(str(file))):
        yield _video(file, clip, "_".join(file.relative_to(folder).with_suffix("").parts))


def _in_table(path: Path, clip: Clip) -> Iterator[Video]:
    rows = list(_rows(path))
    if not rows:
        raise BadInput(f"{path} lists no videos: give one a line")
    for number, row in rows:
        try:
            source = row.get("source")
            if not isinstance(source, str) or not source:
                raise ValueError("it has no source")
            if unknown := set(row) - set(COLUMNS):
                raise ValueError(f"{min(map(str, unknown))} means nothing here")
            given = {
                key: seconds_of(str(row[key])) for key in ("start", "end") if row.get(key) not in ("", None)
            }
            part = Clip(given.get("start", clip.start), given.get("end", clip.end))
        except ValueError as error:
            raise BadInput(
                f"line {number} of {path}: {error}: it has a source, and may have a start and an end"
            ) from error
        yield from _named(source, part) if is_url(source) else [_video(path.parent / source, part)]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The number and the content of each line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as text ({error}): check the file") from error
    if path.suffix.lower() == ".csv":
        table = csv.DictReader(text.splitlines(), restkey="a further column")
        if "source" not in (table.fieldnames or ()):
            raise BadInput(f"{path} has no column source: its first line is source,start,end")
        try:
            for row in table:
                yield table.line_num, row
        except csv.Error as error:  # all that follows a single quotation mark is one field
            raise BadInput(
                f"line {table.line_num + 1} of {path} cannot be read ({error}): correct it"
            ) from error
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadInput(f"line {number} of {path} is no JSON ({error}): correct it") from error
            if not isinstance(row, dict):
                raise BadInput(f'line {number} of {path} is no object: write {{"source": "video.mp4"}}')
            yield number, row
