"""Results as JSON lines."""

import json
from importlib.metadata import version
from typing import Any

from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.types import U8, SourceInfo

JSONL_SCHEMA = 1  # version of the JSONL format


class JsonlSink(LineFile):
    """Writes a line about the source, then a line per frame. Once the size changes, lines include it.

    Args:
        path: The file; "-" for standard output.
        info: The source.
        run: The run info for the first line.
    """

    def __init__(self, path: str, info: SourceInfo, run: RunInfo) -> None:
        super().__init__(path)
        source = {"source": info.name, "width": info.width, "height": info.height, "fps": info.fps}
        self._size, self._changed = (info.height, info.width), False
        self._line({"hrpose": version("hrpose-rt"), "schema": JSONL_SCHEMA} | source | run.to_dict())

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        height, width = result.frame.image.shape[:2]
        self._changed |= (height, width) != self._size
        size = {"width": width, "height": height} if self._changed else {}
        self._line(result.to_dict() | size)

    def _line(self, line: dict[str, Any]) -> None:
        self._put(json.dumps(line, allow_nan=False) + "\n")
