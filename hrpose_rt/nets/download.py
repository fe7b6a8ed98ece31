"""Downloads: resumed after interruptions, and verified before the file gets its name."""

import hashlib
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import SET_CACHE, make_writable

CHUNK = 1 << 18
MAX_UNPACKED_BYTES = 2 << 30  # of a file in an archive; an ONNX file holds no more
DOWNLOAD_TIMEOUT_S = 30
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416

BytesCallback = Callable[[int, int], None]  # bytes so far and bytes in total (0 if the server does not say)


def fetch(
    url: str, path: Path, sha256_prefix: str, progress: BytesCallback = lambda done, total: None
) -> None:
    """Download `url` to `path`; the file appears once its hash is verified.

    An interrupted download stays in `path.partial`, and the next call resumes it.

    Args:
        url: What to download. Of a zip archive, only the file with the suffix of `path` is kept.
        path: The file to write.
        sha256_prefix: First hex digits of the file's sha256.
        progress: Called with the bytes so far and in total.

    Raises:
        BadInput: The file cannot be written.
        RunBroken: The download failed, or the file has another hash; the message has URL and folder.
    """
    is_archive = url.endswith(".zip")
    what = f"the {path.suffix} file in it" if is_archive else "it"
    by_hand = f"fetch {url} by hand and put {what} into {path.parent} as {path.name}"
    partial = path.with_name(path.name + ".partial")
    try:
        make_writable(path.parent, f"{SET_CACHE}, or {by_hand}")
        receive(urllib.request.Request(url), partial, progress)
        if is_archive:
            _unpack(partial, path.suffix)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, BadZipFile) as error:
        reason = getattr(error, "reason", None) or error
        reason = " ".join(str(reason).split()) or type(error).__name__
        raise RunBroken(f"{path.name} could not be fetched ({reason}): try again, or {by_hand}") from error
    except OSError as error:
        raise BadInput(f"{partial} cannot be written: {error.strerror}; make room, or {by_hand}") from error
    check_hash(partial, sha256_prefix, by_hand)
    partial.replace(path)


def fetch_from_any(
    urls: Sequence[str],
    path: Path,
    sha256_prefix: str,
    progress: BytesCallback = lambda done, total: None,
) -> None:
    """Download from the first of several addresses that serves the file; see `fetch`."""
    for last, url in enumerate(urls, start=1):
        try:
            return fetch(url, path, sha256_prefix, progress)
        except RunBroken as error:
            if last == len(urls):
                raise
            say(f"{error}; trying {urlsplit(urls[last]).hostname}")


def _unpack(archive: Path, suffix: str) -> None:
    """Replace a zip archive by the only file in it with that suffix; raise BadZipFile if there is none."""
    unpacked = archive.with_name(archive.name + ".unpacked")
    try:
        with ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if member.filename.endswith(suffix)]
            if len(members) != 1 or members[0].file_size > MAX_UNPACKED_BYTES:
                raise BadZipFile(f"the archive has {len(members)} {suffix} files of a usual size, not one")
            with opened.open(members[0]) as packed, unpacked.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except BadZipFile:
        archive.unlink()  # resuming it would not mend it
        raise
    unpacked.replace(archive)


def check_hash(file: Path, sha256_prefix: str, by_hand: str) -> None:
    """Remove `file` and raise RunBroken unless its sha256 begins with `sha256_prefix`."""
    with file.open("rb") as opened:
        actual = hashlib.file_digest(opened, "sha256").hexdigest()
    if not actual.startswith(sha256_prefix):
        file.unlink()
        raise RunBroken(
            f"what arrived is another file, and was removed: its sha256 begins with {actual[:8]}, not "
            f"{sha256_prefix}; try again, or {by_hand}"
        )


def receive(
    request: urllib.request.Request, partial: Path, progress: BytesCallback = lambda done, total: None
) -> None:
    """Append the missing rest to `partial`; raise OSError or HTTPException if the connection breaks off."""
    have = partial.stat().st_size if partial.exists() else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT_S)
    except ValueError as error:  # the server redirects to an invalid address
        raise urllib.error.URLError(error) from error
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == _RANGE_NOT_SATISFIABLE:  # the file is complete
            return
        raise
    with response:
        if response.status != _PARTIAL_CONTENT:
            have = 0  # the server sends the whole file again
        length = response.headers.get("Content-Length") or ""
        left = int(length) if length.isdecimal() else 0
        total = have + left if left else 0
        with partial.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if have < total:
        raise ConnectionError(f"broke off after {have} of {total} bytes")
