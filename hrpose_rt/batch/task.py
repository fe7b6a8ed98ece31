"""The steps of the work at a video, and how they end."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrpose_rt.batch.split import Part
from hrpose_rt.batch.videos import Video


@dataclass(frozen=True, slots=True)
class Task:
    """One step of the work at a video.

    Attributes:
        name: Of the video in its batch.
        video: The video.
        folder: Where the outputs are written.
        part: The part to run, if not the whole video, and the file for its people.
        parts: The parts to join, and their files.
        url: Where the batch is kept, if that is no folder. Then a worker takes a folder of its own instead
            of `folder`, sends what it has written, and fetches the parts.
    """

    name: str
    video: Video
    folder: Path
    part: tuple[Part, Path] | None = None
    parts: tuple[tuple[Part, Path], ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    Attributes:
        task: The task.
        reason: What went wrong; empty if nothing did.
        cuts: The parts to run instead of the whole video.
        died: Whether the worker ended before the task did.
        report: Of a video that is whole.
    """

    task: Task
    reason: str = ""
    cuts: tuple[Part, ...] = ()
    died: bool = False
    report: dict[str, Any] = field(default_factory=dict)
