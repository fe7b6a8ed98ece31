"""The base class of text sinks: JSON lines, CSV, COCO and MOT. A killed run leaves complete lines."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.base import closed_error, write_error

STDOUT = "-"


def check_not_stdout(value: str, option: str, instead: str = "a file") -> None:
    """Raise BadInput if an output other than JSON lines is given "-"."""
    if value == STDOUT:
        raise BadInput(f"`{option}` {value}: only `json` writes to standard output, name {instead}")


class LineFile:
    """A file that grows by complete lines. Each write is flushed immediately.

    Args:
        path: The file; "-" for standard output.
    """

    wants_picture = False
    _END = ""  # the end of the file, which the next lines overwrite

    def __init__(self, path: str) -> None:
        self._path = path
        if path == STDOUT and sys.stdout is None:
            raise BadInput("standard output is closed: name a file instead of -")
        try:
            self._file: BinaryIO = sys.stdout.buffer if path == STDOUT else open(path, "wb")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
        self._complete_bytes = 0  # in complete lines

    def _put(self, text: str) -> None:
        if self._file.closed:
            raise closed_error(self._path)
        data = text.encode()
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:  # not an error here: the reader has closed the pipe
            raise
        except OSError as error:
            self._drop_half_line()
            raise write_error(self._path, error) from error
        self._complete_bytes += len(data)

    def _drop_half_line(self) -> None:
        with suppress(OSError):
            self.close()
        if Path(self._path).is_file():
            # The end was there before, so it fits even on a full disk.
            end = self._END.encode() if self._complete_bytes else b""
            os.truncate(self._path, self._complete_bytes + len(end))
            with open(self._path, "r+b") as file:
                file.seek(self._complete_bytes)
                file.write(end)

    def close(self) -> None:
        """Close the file. Every line is already written."""
        if self._path != STDOUT:
            self._file.close()
