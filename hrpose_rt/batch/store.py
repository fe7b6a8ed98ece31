"""Where the outputs of a batch are kept: in a folder, or at a URL by way of a folder of this machine."""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from hrpose_rt.batch.names import REPORT, WORK
from hrpose_rt.batch.people_table import file_in_table
from hrpose_rt.batch.remote import Shelf
from hrpose_rt.errors import RunBroken
from hrpose_rt.paths import cache_dir
from hrpose_rt.structures import decode

KEYS = {"state", "input", "settings", "options", "histograms"}  # of a report, by which it is known
Report = dict[str, Any]


class Store(Protocol):
    """The folders of the videos of a batch, and the parts of videos that are not whole yet.

    Attributes:
        folder: A folder of this machine for the manifest and the summary.
        url: Where all of it is kept in the end; empty for the folder itself.
    """

    folder: Path
    url: str

    def names(self) -> list[str]:
        """The files and folders that are there."""

    def reports(self, names: Sequence[str]) -> dict[str, Report]:
        """The reports of videos by name, of those that are whole."""

    def accept(self, folder: Path, name: str) -> None:
        """Put the outputs that a worker has written for a video into their place.

        Raises:
            RunBroken: That is not possible.
        """

    def has(self, part: Path) -> bool:
        """Whether the file of a part is there."""

    def remove(self, folder: Path) -> None:
        """Remove a folder of `WORK`."""

    def left(self) -> list[Path]:
        """The folders of `WORK`."""

    def send(self, names: Iterable[str]) -> None:
        """Copy files of the folder to the URL."""


class FolderStore:
    """A batch in a folder. See `Store`."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """See `Store.names`."""
        return [path.name for path in self.folder.iterdir()]

    def reports(self, names: Sequence[str]) -> dict[str, Report]:
        """See `Store.reports`."""
        contents = {}
        for name in names:
            with suppress(OSError):
                contents[name] = (self.folder / name / REPORT).read_bytes()
        return _reports(contents)

    def accept(self, folder: Path, name: str) -> None:
        """See `Store.accept`. The report moves with its folder, so it is there only if all of it is."""
        target, old = self.folder / name, folder.with_name(f"{folder.name}.old")
        try:
            file_in_table(folder, self.folder, name)
            if target.exists():
                target.rename(old)
            folder.rename(target)
        except OSError as error:
            raise RunBroken(
                f"{target} cannot be replaced ({error.strerror}): check the folder, and run the batch again"
            ) from error
        shutil.rmtree(old, ignore_errors=True)

    def has(self, part: Path) -> bool:
        """See `Store.has`."""
        return part.exists()

    def remove(self, folder: Path) -> None:
        """See `Store.remove`."""
        shutil.rmtree(folder, ignore_errors=True)

    def left(self) -> list[Path]:
        """See `Store.left`."""
        return [path for path in (self.folder.absolute() / WORK).iterdir() if path.is_dir()]

    def send(self, names: Iterable[str]) -> None:
        """See `Store.send`. They are there already."""


class UrlStore:
    """A batch at a URL. Workers send outputs and parts there by themselves. See `Store`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        key = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self.folder = (cache_dir() / "batches" / key).absolute()
        self._shelf = Shelf(self.url)

    def names(self) -> list[str]:
        """See `Store.names`."""
        return self._shelf.names("")

    def reports(self, names: Sequence[str]) -> dict[str, Report]:
        """See `Store.reports`."""
        found = self._shelf.read_all([f"{name}/{REPORT}" for name in names])
        return _reports({name.removesuffix(f"/{REPORT}"): content for name, content in found.items()})

    def accept(self, folder: Path, name: str) -> None:
        """See `Store.accept`. The worker has sent them, the report last."""

    def has(self, part: Path) -> bool:
        """See `Store.has`."""
        return self._shelf.exists(key_of(part))

    def remove(self, folder: Path) -> None:
        """See `Store.remove`. What cannot be removed now is found by the next call."""
        with suppress(RunBroken):
            self._shelf.remove(f"{WORK}/{folder.name}")

    def left(self) -> list[Path]:
        """See `Store.left`."""
        return [self.folder / WORK / name for name in self._shelf.names(WORK)]

    def send(self, names: Iterable[str]) -> None:
        """See `Store.send`."""
        for name in names:
            self._shelf.put(self.folder / name, name)

    def fetch(self, name: str) -> None:
        """Copy a file from the URL into the folder, if it is there."""
        if self._shelf.exists(name):
            self._shelf.get(name, self.folder / name)


def key_of(part: Path) -> str:
    """Where the file of a part is below the URL of a batch."""
    return f"{WORK}/{part.parent.name}/{part.name}"


def _reports(contents: dict[str, bytes]) -> dict[str, Report]:
    """The reports by name, without files that are none, such as those of other programs."""
    found = {}
    for name, content in contents.items():
        with suppress(ValueError):
            report = decode(content, Report)
            if report.keys() >= KEYS:
                found[name] = report
    return found
