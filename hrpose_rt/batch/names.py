"""Names of what a batch keeps, by which its folders are known."""

from collections.abc import Callable
from pathlib import PurePath

MANIFEST, SUMMARY, PAGE = "manifest.jsonl", "summary.json", "summary.html"  # of a batch
WORK = ".work"  # its folder of what is not whole yet
REPORT = "report.json"  # of a video, in its folder


def is_output(path: PurePath, exists: Callable[[str], bool]) -> bool:
    """Whether a file is an output of a batch, and so no video to be run.

    >>> from pathlib import PurePath
    >>> from hrpose_rt.batch.names import is_output
    >>> there = {"poses/manifest.jsonl", "poses/a/report.json", "poses/a/a.mp4"}
    >>> [is_output(PurePath(path), there.__contains__) for path in ("poses/a/a.mp4", "poses/b.mp4")]
    [True, False]

    Args:
        path: The file.
        exists: Whether there is a file at a path.
    """
    folder = path.parent
    return exists(str(folder / REPORT)) and exists(str(folder.parent / MANIFEST))
