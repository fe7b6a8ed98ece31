"""The interface between results and sinks. File formats are registered in `formats.py`."""

from pathlib import Path
from typing import Protocol

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.result import FrameResult
from hrpose_rt.types import U8


class Sink(Protocol):
    """Takes the results of one source, frame by frame.

    >>> from hrpose_rt import Settings, stream
    >>> class Counter:
    ...     wants_picture = False
    ...     most = 0
    ...     def write(self, result, picture):
    ...         self.most = max(self.most, len(result))
    ...     def close(self):
    ...         print("at most", self.most, "people")

    Your loop calls it:

    >>> counter = Counter()
    >>> for result in stream("video.mp4", Settings(det_score=0.5)):
    ...     counter.write(result, result.frame.image)
    >>> counter.close()
    at most 0 people

    A file format is made of its path, a `SourceInfo` and a `RunInfo`. It raises `closed_error` after
    `close`, and `write_error` if the disk fails.

    Attributes:
        wants_picture: Whether `write` needs the people drawn.
    """

    wants_picture: bool

    def write(self, result: FrameResult, picture: U8) -> None:
        """Take a frame. `picture` (H, W, 3) shows the people drawn if any sink wants that."""

    def close(self) -> None:
        """Finish the output."""


def closed_error(path: Path | str) -> BadInput:
    return BadInput(f"{path} is closed: nothing more can be written to it")


def write_error(path: Path | str, error: OSError) -> RunBroken:
    return RunBroken(
        f"writing {path} failed ({error.strerror}): make room or choose another place; what was written "
        "before stays readable"
    )
