"""Files at URLs, by fsspec: what is there, whether it has changed, and how it gets here and there."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from hrpose_rt.batch.fingerprint import fingerprint_of
from hrpose_rt.batch.names import is_output
from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing, install_hint, last_line
from hrpose_rt.sources.addresses import redacted
from hrpose_rt.sources.base import natural_order
from hrpose_rt.sources.open import VIDEO_SUFFIXES

WEB = ("http://", "https://")
URL_IN_TEXT = re.compile(r"\w+://[^\s'\"]+")
MISSING = (FileNotFoundError, NotADirectoryError)  # the second below a file, where a storage is a folder
VERSIONS = ("Last-Modified", "ETag", "Content-MD5", "Digest")  # headers, the steadiest first


def filesystem(url: str) -> tuple[Any, str]:
    """What reads and writes a URL, and its path there.

    Raises:
        RuntimeMissing: A library for it is not installed.
        BadInput: It is no address of files, or has a password in it.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:  # an unmatched bracket
        raise BadInput(f"{redacted(url)} is no address ({last_line(error)}): check it") from error
    # The user of a web server may be a token, and is nothing else without a password.
    if parts.password is not None or (parts.username and url.startswith(WEB)):
        what = "user name" if parts.password is None else "password"
        raise BadInput(
            f"{redacted(url)} has a {what}, which the manifest would keep: give it as the library for "
            "this protocol reads it, such as by the environment"
        )
    try:
        import fsspec
    except ImportError as error:
        raise RuntimeMissing(f"{shown(url)} needs fsspec: {install_hint('cluster')}") from error
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:  # "Install s3fs to access S3"
        raise RuntimeMissing(f"{shown(url)} needs another library ({last_line(error)})") from error
    except ValueError:
        raise BadInput(
            f"{redacted(url)} is no file: batch takes videos that have an end, hrpose-rt run all others"
        ) from None
    return files, str(path)


def shown(url: str) -> str:
    """A URL for a message, without its query, which may be a key."""
    return url.partition("?")[0]


def _reason(error: Exception) -> str:
    """Why a storage failed. Errors of web servers hold the whole URL."""
    return URL_IN_TEXT.sub(lambda found: shown(found.group()), last_line(error))


def name_of(url: str) -> str:
    """The name of the file.

    >>> from hrpose_rt.batch.remote import name_of
    >>> name_of("https://example.org/films/a%20b.mp4?download=1")
    'a b.mp4'
    """
    parts = urlsplit(url)
    path = unquote(parts.path) if parts.scheme in ("http", "https") else parts.path
    return PurePosixPath(path).name or parts.netloc


def find(url: str) -> list[tuple[str, str]]:
    """The videos at a URL, and their paths below it: a file, a pattern, or a folder with those in it.

    Folders and patterns are for storages such as S3; a web server only has files.

    Raises:
        BadInput: There is nothing, or the storage cannot be asked.
    """
    files, path = filesystem(url)
    if url.startswith(WEB):
        return [(url, name_of(url))]
    try:
        if set(path) & set("*?[") and not files.exists(path):
            found = [one for one in files.glob(path) if files.isfile(one)]
        elif files.isdir(path):
            there = set(files.find(path))
            found = [one for one in there if _is_video(one.removeprefix(path))]
            found = [one for one in found if not is_output(PurePosixPath(one), there.__contains__)]
        else:
            return [(url, name_of(url))]
    except Exception as error:  # each storage has errors of its own
        raise BadInput(f"{shown(url)} cannot be read ({_reason(error)}): check the address") from error
    if not found:
        raise BadInput(f"nothing matches {shown(url)}, or it holds no videos: check the address")
    base = path.rstrip("/") + "/"
    return [
        (files.unstrip_protocol(one), one.removeprefix(base) if one.startswith(base) else name_of(one))
        for one in sorted(found, key=natural_order)
    ]


def _is_video(path: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(path).parts)
    return not hidden and PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def fingerprint(url: str) -> str:
    """`Video.fingerprint` of a file at a URL, of its size and two reads.

    A web server may send all of a file where a part is asked for. So its files are told apart by their size
    and by what the server says of their version.

    Raises:
        OSError: It cannot be read.
    """
    files, path = filesystem(url)
    try:
        if url.startswith(WEB):
            facts = files.info(path)
            version = next((str(facts[name]) for name in VERSIONS if facts.get(name)), "")
            return hashlib.sha256(f"{facts['size']} {version}".encode()).hexdigest()[:16]
        size = files.size(path)
        return fingerprint_of(size, lambda start, end: bytes(files.cat_file(path, start=start, end=end)))
    except Exception as error:  # each storage has errors of its own
        raise OSError(_reason(error)) from error


def fetch(url: str, target: Path) -> None:
    """Copy a file at a URL to a path, in an existing folder.

    Raises:
        RunBroken: It cannot be read.
    """
    files, path = filesystem(url)
    try:
        files.get_file(path, str(target))
    except Exception as error:  # each storage has errors of its own
        target.unlink(missing_ok=True)
        raise RunBroken(
            f"{shown(url)} cannot be fetched ({type(error).__name__}: {_reason(error)}): check the "
            "address and the access to it"
        ) from error


class Shelf:
    """Files below a URL, by their names there. Whatever a storage raises becomes `RunBroken`.

    Args:
        url: Where the names begin.

    Raises:
        HrposeError: See `filesystem`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._files, self._base = filesystem(url)

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """The contents by name, of those that are there."""
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        with self._errors("read"):
            found = self._files.cat(list(paths), on_error="return")
            for content in found.values():
                if isinstance(content, Exception) and not isinstance(content, MISSING):
                    raise content
        return {paths[path]: content for path, content in found.items() if isinstance(content, bytes)}

    def get(self, name: str, path: Path) -> None:
        """Copy a file here."""
        with self._errors("read"):
            self._files.get_file(self._path(name), str(path))

    def put(self, path: Path, name: str) -> None:
        """Copy a file there. It replaces another one of that name."""
        with self._errors("written"):
            self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), self._path(name))

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder of that name."""
        with self._errors("read"):
            self._files.invalidate_cache()
            return bool(self._files.exists(self._path(name)))

    def names(self, folder: str) -> list[str]:
        """The names in a folder; none if there is no such folder."""
        with self._errors("read"):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return [PurePosixPath(path).name for path in found]

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it, if it is there."""
        if self.exists(name):
            with self._errors("written"):
                self._files.rm(self._path(name), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}"

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each storage has errors of its own
            raise RunBroken(
                f"{shown(self._url)} cannot be {what} ({type(error).__name__}: {_reason(error)}): check "
                "the address and the access to it"
            ) from error
