"""A worker's folder for files that are fetched or not yet sent, which ends with the worker."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from hrpose_rt.batch import remote

PREFIX = "hrpose-batch-"


class Scratch:
    """A folder in the folder for temporary files (`TMPDIR`), made when it is used.

    A worker that is killed leaves its folder. The next one that uses scratch on this machine removes it.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._copy: tuple[str, str] | None = None

    @property
    def folder(self) -> Path:
        """The folder; it exists."""
        if self._folder is None or not self._folder.exists():
            remove_left()
            # Other users write to the folder for temporary files, so the name cannot be guessed.
            self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        return self._folder

    def fetched(self, url: str) -> str:
        """The path of a copy of a file, under its own name. The copy before it is removed.

        The parts of a film follow each other, and share a copy.

        Raises:
            RunBroken: It cannot be fetched.
        """
        if self._copy is None or self._copy[0] != url:
            self._copy = None
            place = self.folder / "fetched"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            path = place / (remote.name_of(url) or hashlib.sha256(url.encode()).hexdigest()[:16])
            remote.fetch(url, path)
            self._copy = (url, str(path))
        return self._copy[1]

    def close(self) -> None:
        """Remove the folder."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def remove_left() -> None:
    """Remove the folders of workers that are no more. Without /proc, nothing tells which these are."""
    if not Path("/proc/self").exists():
        return
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = path.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(path, ignore_errors=True)
