"""Folders for downloaded and built files, and atomic writing of files."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from hrpose_rt.console import say
from hrpose_rt.errors import BadInput

CACHE_VARIABLE = "HRPOSE_HOME"
SET_CACHE = f"set {CACHE_VARIABLE} to a folder that can be written"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def cache_dir() -> Path:
    """The folder in `HRPOSE_HOME`, else `hrpose-rt` in the user's cache; it may not exist yet.

    Raises:
        BadInput: `HRPOSE_HOME` is not set and the user has no home folder.
    """
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "hrpose-rt"
    try:
        return Path.home() / ".cache" / "hrpose-rt"
    except RuntimeError as error:  # an unknown user without HOME, as in some containers
        raise BadInput(f"this user has no home folder: {SET_CACHE}") from error


def make_writable(folder: Path, hint: str = SET_CACHE) -> None:
    """Create a folder if needed; raise BadInput with the hint if it cannot be written to."""
    reason: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason or not os.access(folder, os.W_OK):
        raise BadInput(f"{folder} cannot be written ({reason or 'it is read-only'}): {hint}")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if needed; raise BadInput with the reason if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror}") from error


def fetched_folder() -> Path:
    """The folder for downloaded models."""
    return cache_dir() / "models"


def models_folder() -> Path:
    """The folder of the embedded models, in the installed package or in the checkout."""
    package = Path(str(files("hrpose_rt")))
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def engines_folder() -> Path:
    """The folder for engines: in `HRPOSE_HOME`, else `engines/` of a checkout, else the user's cache."""
    checkout = models_folder().parent
    in_checkout = (checkout / "pyproject.toml").is_file() and (checkout / "engines").is_dir()
    if in_checkout and CACHE_VARIABLE not in os.environ:
        return checkout / "engines"
    return cache_dir() / "engines"


@contextmanager
def file_lock(path: Path, progress: Callable[[str], None] = say) -> Iterator[None]:
    """Lock a file that is to be built; wait while another process or thread builds it.

    Args:
        path: The file. The lock is a file beside it, which stays. It is released if its process dies.
        progress: Called with a text before a wait.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.parent / f".{path.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress(f"waiting for another process that builds {path.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sha256(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_utf8(path: Path) -> None:
    """Raise BadInput if a name is no UTF-8, on which OpenCV and FFmpeg crash."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{path} has a name that is no UTF-8: rename it") from error


def check_rereadable(path: Path) -> None:
    """Raise BadInput for a pipe or a device; OSError if there is no such path."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadInput(f"{path} is a pipe or a device, which cannot be read twice: save it as a file first")


@contextmanager
def atomic_write(path: Path, tag: str = "") -> Iterator[Path]:
    """Write a file atomically: a failed write leaves the old file.

    >>> with atomic_write(Path("report.json")) as file:  # doctest: +SKIP
    ...     file.write_text(text)

    Args:
        path: The file. Devices, pipes and files that cannot be replaced (a mount point, or in a read-only
            folder) are written in place.
        tag: Part of the temporary name, different for each process that may write the same file.

    Yields:
        The path of a temporary file beside it. It replaces the file at the end; an error removes it.
    """
    in_place = not path.is_file() or os.path.ismount(path) or not os.access(path.resolve().parent, os.W_OK)
    if path.exists() and in_place:
        yield path
        return
    path = path.resolve()  # keep a symbolic link and replace its target
    partial = path.with_name(f"{path.name}{tag}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write plain values as JSON, atomically."""
    with atomic_write(path) as file:
        file.write_text(json.dumps(content, indent=indent) + "\n")
