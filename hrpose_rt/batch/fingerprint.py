"""A hash that tells whether a video has changed, without reading all of it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

SAMPLE_BYTES = 2**20  # of either end


def fingerprint_of(size: int, read: Callable[[int, int], bytes]) -> str:
    """A hash of a file's size, its first and its last MiB, in hex.

    Reading all of an archive would take longer than asking whether it has changed should.

    >>> from hrpose_rt.batch.fingerprint import fingerprint_of
    >>> fingerprint_of(5, lambda start, end: b"video"[start:end])
    '05d3b31f5251b0ae'

    Args:
        size: Bytes.
        read: The bytes from a position up to another one.
    """
    samples = read(0, min(size, SAMPLE_BYTES)) + read(max(0, size - SAMPLE_BYTES), size)
    return hashlib.sha256(b"%d\0" % size + samples).hexdigest()[:16]


def fingerprint_of_file(path: Path) -> str:
    """The same of a file.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        return fingerprint_of(path.stat().st_size, read)
