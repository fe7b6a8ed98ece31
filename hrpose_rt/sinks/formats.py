"""Choose the file and the sink of an output. A new format is a module beside this one and a row here."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.paths import IMAGE_SUFFIXES, make_folder
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.angles import AngleSink
from hrpose_rt.sinks.base import Sink
from hrpose_rt.sinks.coco import CocoSink
from hrpose_rt.sinks.csv import CsvSink, LongCsvSink
from hrpose_rt.sinks.images import ImageSink
from hrpose_rt.sinks.jsonl import JsonlSink
from hrpose_rt.sinks.mot import MotSink
from hrpose_rt.sinks.text import STDOUT, check_not_stdout
from hrpose_rt.sinks.video import Audio, VideoSink
from hrpose_rt.types import SourceInfo

VIDEO_SUFFIX = ".mp4"
FORMAT_MAX_SIDE_PX = {VIDEO_SUFFIX: 16_384, ".webp": 16_383}  # limits of x264 and WebP
# Files that other programs would not open if they held text.
OTHER_SUFFIXES = {
    *IMAGE_SUFFIXES,
    VIDEO_SUFFIX,
    ".avi",
    ".mov",
    ".mkv",
    ".pdf",
    ".xls",
    ".xlsx",
    ".ods",
    ".zip",
}
RESULT_FORMATS: dict[str, tuple[str, Callable[[str, SourceInfo, RunInfo], Sink]]] = {
    "json": (".jsonl", JsonlSink),
    "csv": (".csv", CsvSink),
    "csv_long": (".long.csv", LongCsvSink),
    "coco": (".coco.json", CocoSink),
    "mot": (".mot.txt", MotSink),
    "angles": (".angles.csv", AngleSink),
}


@dataclass(frozen=True, slots=True)
class Output:
    """The files to write, and a function that opens their sink once the run info is known."""

    files: tuple[Path, ...]
    open: Callable[[RunInfo], Sink]


def open_outputs(outputs: Iterable[Output], run: RunInfo) -> list[Sink]:
    """Make the folders of outputs and open their sinks: all of them, or none if one fails."""
    with ExitStack() as opened:
        sinks = []
        for output in outputs:
            for file in output.files:
                make_folder(file.parent)
            sinks.append(opened.enter_context(closing(output.open(run))))
        opened.pop_all()  # all of them are open: from here on they are the caller's
    return sinks


def video_output(
    save: str,
    info: SourceInfo,
    stem: str,
    several: bool,
    open_audio: Callable[[], Audio | None] = lambda: None,
    encoder: str = "x264",
) -> Output:
    """The output for the annotated video of a source: `save` itself or a file in the folder `save`.

    Args:
        save: A video file or a folder.
        info: The source.
        stem: The name of the file in a folder.
        several: Whether there are more sources. Then `save` must be a folder.
        open_audio: Opens the audio, when the video is opened.
        encoder: One of `encoders.ENCODERS`.
    """
    path = _file_in(Path(save), stem, VIDEO_SUFFIX, several)
    if path.suffix.lower() != VIDEO_SUFFIX:
        raise BadInput(f"`save` {save}: a video is saved as {VIDEO_SUFFIX}, or name a folder")
    _check_size(info, VIDEO_SUFFIX)
    return Output((path,), lambda _: VideoSink(path, info, open_audio(), encoder))


def image_output(save: str, info: SourceInfo, stem: str, several: bool, names: Mapping[int, str]) -> Output:
    """The output for annotated images: the folder `save` with the given names, or a file for one image.

    Args:
        save: A folder or an image file.
        info: The source.
        stem: The name of the folder inside `save` if there are several sources.
        several: Whether there are more sources.
        names: File names by frame index.
    """
    path = Path(save)
    folder = path / stem if several else path
    if _has_suffix(path) and not path.is_dir():
        if path.suffix.lower() not in IMAGE_SUFFIXES or several or len(names) > 1:
            raise BadInput(f"`save` {path}: these images are saved as images, name a folder")
        folder, names = path.parent, dict.fromkeys(names, path.name)
    for name in names.values():
        _check_size(info, Path(name).suffix.lower())
    files = tuple(folder / name for name in names.values())
    return Output(files, lambda _: ImageSink(folder, names))


def result_output(
    option: str,
    value: str,
    info: SourceInfo,
    stem: str,
    several: bool,
    image_ids: Mapping[str, int | str] | None = None,
) -> Output:
    """The output for the results of a source: a file as with videos, or "-" for stdout (JSON lines)."""
    suffix, sink = RESULT_FORMATS[option]
    if option == "coco":
        sink = partial(CocoSink, image_ids=image_ids)
    if option == "mot" and not info.is_video:
        raise BadInput(f"`mot` holds tracks, and {info.name} is no video: a folder of images is with `fps`")
    if option != "json":
        check_not_stdout(value, option)
    if value == STDOUT:
        return Output((), lambda run: sink(STDOUT, info, run))
    path = _file_in(Path(value), stem, suffix, several)
    if path.suffix.lower() in OTHER_SUFFIXES:
        raise BadInput(f"`{option}` {value}: this writes text and no {path.suffix}, name a {suffix} file")
    return Output((path,), lambda run: sink(str(path), info, run))


def _check_size(info: SourceInfo, suffix: str) -> None:
    """Raise BadInput if the frames are too large for the format, as far as is known before the run."""
    largest = FORMAT_MAX_SIDE_PX.get(suffix)
    if largest and max(info.width, info.height) > largest:
        raise BadInput(
            f"`save`: {info.name} is {info.width}x{info.height}, {suffix} holds {largest} pixels a side: "
            f"{'cut or shrink it first' if suffix == VIDEO_SUFFIX else 'save it as a .png'}"
        )


def _has_suffix(path: Path) -> bool:
    """Whether the path ends in a file suffix. "v1.0" and "out.2026-11-25" are folders."""
    return path.suffix[1:2].isalpha()


def _file_in(path: Path, stem: str, suffix: str, several: bool) -> Path:
    """`path` if it names a file and there is one source, otherwise a file in the folder `path`."""
    is_folder = path.is_dir() or not (_has_suffix(path) or path.exists())
    if several and not is_folder:
        raise BadInput(f"{path} is one file for several sources: name a folder")
    return path / f"{stem}{suffix}" if is_folder else path
