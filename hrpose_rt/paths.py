"""Folders for what is fetched and built, and files that are written whole or not at all."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput

CACHE_VARIABLE = "HRPOSE_HOME"
SET_CACHE = f"set {CACHE_VARIABLE} to a folder that can be written"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def cache_dir() -> Path:
    """The folder that `HRPOSE_HOME` names, or `hrpose-rt` in the user's cache; it may not be there yet.

    Raises:
        BadInput: Neither is known, as the user has no home folder.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "hrpose-rt"
    try:
        return Path.home() / ".cache" / "hrpose-rt"
    except RuntimeError as error:  # an unknown user without HOME, as in some containers
        raise BadInput(f"this user has no home folder: {SET_CACHE}") from error


def make_writable(folder: Path, hint: str = SET_CACHE) -> None:
    """Make a folder that can be written into; BadInput with the hint where that is not possible."""
    reason: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason or not os.access(folder, os.W_OK):
        raise BadInput(f"{folder} cannot be written ({reason or 'it is read-only'}): {hint}")


def make_folder(folder: Path) -> None:
    """Make it, with those above it, unless it is there; BadInput says why it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror}") from error


def fetched_folder() -> Path:
    """Where fetched models are kept."""
    return cache_dir() / "models"


def models_folder() -> Path:
    """Where the embedded models lie: inside the installed package, or in the checkout it runs from."""
    package = Path(str(files("hrpose_rt")))
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def engines_folder() -> Path:
    """Where engines are kept: in `HRPOSE_HOME`, else `engines/` of a checkout, else the user's cache."""
    checkout = models_folder().parent
    in_checkout = (checkout / "pyproject.toml").is_file() and (checkout / "engines").is_dir()
    if in_checkout and CACHE_VARIABLE not in os.environ:
        return checkout / "engines"
    return cache_dir() / "engines"


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait until no other process builds this engine."""
    with (path.parent / f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path, tag: str = "") -> Iterator[Path]:
    """Write a file whole or not at all.

    >>> with atomic_write(Path("report.json")) as file:  # doctest: +SKIP
    ...     file.write_text(text)

    Args:
        path: The file. A device, a pipe and a file that cannot be replaced (mounted by itself, or in a
            folder that is read-only) are written to as they are.
        tag: Tells apart processes that may write the same file.

    Yields:
        A file beside it to write to, which takes its place at the end and is removed on an error.
    """
    in_place = not path.is_file() or path.is_mount() or not os.access(path.resolve().parent, os.W_OK)
    if path.exists() and in_place:
        yield path
        return
    path = path.resolve()  # a link stays a link
    partial = path.with_name(f"{path.name}{tag}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write plain values as JSON, whole or not at all."""
    with atomic_write(path) as file:
        file.write_text(json.dumps(content, indent=indent) + "\n")
