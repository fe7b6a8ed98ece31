"""Results as lines of JSON."""

import json
from typing import Any

from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.text import Header, LineFile
from hrpose_rt.types import U8, SourceInfo

JSONL_SCHEMA = 1  # of the JSONL file


class JsonlSink(LineFile):
    """A line about the source, then a line a frame, with a size of its own once that has changed.

    Args:
        path: The file, "-" for standard output.
        info: The source.
        header: What the first line says besides.
    """

    def __init__(self, path: str, info: SourceInfo, header: Header) -> None:
        super().__init__(path)
        source = {"source": info.name, "width": info.width, "height": info.height, "fps": info.fps}
        self._size, self._changed = (info.height, info.width), False
        self._line({"hrpose": header["hrpose"], "schema": JSONL_SCHEMA} | source | header)

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        height, width = result.frame.image.shape[:2]
        self._changed |= (height, width) != self._size
        size = {"width": width, "height": height} if self._changed else {}
        self._line(result.to_dict() | size)

    def _line(self, line: dict[str, Any]) -> None:
        self._put(json.dumps(line, allow_nan=False) + "\n")
