"""Results as text: lines of JSON, tables, COCO's results and MOT's tracks. A kill leaves whole lines."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.base import closed_error, write_error

STDOUT = "-"


class LineFile:
    """A file that grows by whole lines, each on disk as soon as it is written.

    Args:
        path: The file, "-" for standard output.
    """

    wants_picture = False
    _END = ""  # what the next lines are written over

    def __init__(self, path: str) -> None:
        self._path = path
        if path == STDOUT and sys.stdout is None:
            raise BadInput("standard output is closed: name a file instead of -")
        try:
            self._file: BinaryIO = sys.stdout.buffer if path == STDOUT else open(path, "wb")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
        self._whole = 0  # bytes of whole lines

    def _put(self, text: str) -> None:
        if self._file.closed:
            raise closed_error(self._path)
        data = text.encode()
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:  # no fault of ours: who read along has had enough
            raise
        except OSError as error:
            self._drop_half_line()
            raise write_error(self._path, error) from error
        self._whole += len(data)

    def _drop_half_line(self) -> None:
        with suppress(OSError):
            self.close()
        if Path(self._path).is_file():
            # The end stood there before, so a full disk has room for it.
            end = self._END.encode() if self._whole else b""
            os.truncate(self._path, self._whole + len(end))
            with open(self._path, "r+b") as file:
                file.seek(self._whole)
                file.write(end)

    def close(self) -> None:
        """Close the file; every line is in it already."""
        if self._path != STDOUT:
            self._file.close()
