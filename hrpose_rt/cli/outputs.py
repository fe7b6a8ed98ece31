"""Which files a run writes, settled before anything is opened or lost."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict

from hrpose_rt.console import say
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.base import IMAGE_SUFFIXES, Source
from hrpose_rt.sources.images import Images
from hrpose_rt.streams.lines import STDOUT, CocoSink, CsvSink, JsonlSink, LongCsvSink, MotSink
from hrpose_rt.streams.sinks import ImageSink, Sink, VideoSink, make_folder
from hrpose_rt.structures import convert
from hrpose_rt.types import SourceInfo

if TYPE_CHECKING:
    from hrpose_rt.sources.audio import Sound

VIDEO_SUFFIX = ".mp4"
LARGEST_SIDE = {VIDEO_SUFFIX: 16_384, ".webp": 16_383}  # of x264, and of the WebP format
TEXTS: dict[str, tuple[str, Callable[[str, SourceInfo, dict[str, Any]], Sink]]] = {
    "--json": (".jsonl", JsonlSink),
    "--csv": (".csv", CsvSink),
    "--csv-long": (".long.csv", LongCsvSink),
    "--coco": (".coco.json", CocoSink),
    "--mot": (".mot.txt", MotSink),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Files that will be written, and what opens them."""

    files: tuple[Path, ...]
    open: Callable[[], Sink]


def picture_target(save: str, source: Source, stem: str, several: bool, audio: bool = True) -> Target:
    """Where the annotated pictures of a source go.

    A film becomes `save` itself, or a file named after the source in the folder `save`; images go into
    the folder under their own names. Each of `several` sources has its own place in the folder. With
    `audio` the sound of a file is kept.
    """
    given = Path(save)
    if not isinstance(source, Images):
        path = _file_in(given, stem, VIDEO_SUFFIX, several)
        if path.suffix.lower() != VIDEO_SUFFIX:
            raise BadInput(f"--save {given}: a film is saved as {VIDEO_SUFFIX}, or name a folder")
        _check_size(source.info, VIDEO_SUFFIX)
        return Target((path,), lambda: VideoSink(path, source.info, _sound(source) if audio else None))
    folder, names = given / stem if several else given, source.names
    if _has_suffix(given) and not given.is_dir():
        if given.suffix.lower() not in IMAGE_SUFFIXES or several or len(names) > 1:
            raise BadInput(f"--save {given}: these images are saved as images, name a folder")
        folder, names = given.parent, dict.fromkeys(names, given.name)
    for name in names.values():
        _check_size(source.info, Path(name).suffix.lower())
    files = tuple(folder / name for name in names.values())
    return Target(files, lambda: ImageSink(folder, names))


def _check_size(info: SourceInfo, suffix: str) -> None:
    """Raise BadInput if pictures are larger than their form holds, as far as is known before the run."""
    largest = LARGEST_SIDE.get(suffix)
    if largest and max(info.width, info.height) > largest:
        raise BadInput(
            f"--save: {info.name} is {info.width}x{info.height}, {suffix} holds {largest} pixels a side: "
            f"{'cut or shrink it first' if suffix == VIDEO_SUFFIX else 'save it as a .png'}"
        )


def _sound(source: Source) -> "Sound | None":
    """What is heard with a film; says so where it cannot be kept."""
    from hrpose_rt.sources.video import VideoFile

    if not isinstance(source, VideoFile) or not source.sound_codec:
        return None
    sound = source.sound()
    if sound is None:
        say(f"the sound of {source.info.name} is left out: an mp4 holds no {source.sound_codec}")
    return sound


class _Image(TypedDict):
    id: int | str
    file_name: str


class _Annotations(TypedDict):
    images: list[_Image]


def read_image_ids(annotations: Path, sources: Iterable[Source]) -> dict[str, int | str]:
    """The ids that a COCO annotation file gives to images, by their names without folders.

    Raises:
        BadInput: It is no such file, or lacks one of the images of `sources`.
    """
    from hrpose_rt.evaluation.annotation_files import read_json  # which few runs need

    try:
        images = convert(read_json(annotations), _Annotations)["images"]
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{annotations} gives images no ids ({error}): give COCO annotations") from error
    ids: dict[str, int | str] = {}
    for image in images:
        name = PurePosixPath(image["file_name"].replace("\\", "/")).name
        if ids.setdefault(name, image["id"]) != image["id"]:
            raise BadInput(f"{annotations} has two images called {name}: give each a name of its own")
    for source in sources:
        names = source.file_names if isinstance(source, Images) else []
        missing = [name for name in names if name not in ids]
        if missing:
            raise BadInput(f"{annotations} has no image {missing[0]}: give those of these images")
    return ids


def text_target(
    option: str,
    value: str,
    info: SourceInfo,
    header: dict[str, Any],
    stem: str,
    several: bool,
    image_ids: Mapping[str, int | str] | None = None,
) -> Target:
    """Where a source's text of one form goes: "-" is standard output (JSON lines), else as with films."""
    suffix, sink = TEXTS[option]
    if option == "--coco":
        sink = partial(CocoSink, image_ids=image_ids)
    if option == "--mot" and not info.film:
        raise BadInput(f"--mot holds tracks, and {info.name} is no film: a folder of images is with --fps")
    if value == STDOUT:
        if option != "--json":
            raise BadInput(f"{option} {value}: only --json writes to standard output, name a file")
        return Target((), lambda: sink(STDOUT, info, header))
    path = _file_in(Path(value), stem, suffix, several)
    return Target((path,), lambda: sink(str(path), info, header))


def check_free(file: Path, overwrite: bool, sources: Iterable[str] = ()) -> None:
    """Raise BadInput if `file` must not be written: it is there already, or is what is read."""
    if not file.exists():
        return
    for read in map(Path, sources):
        original = read / file.name if read.is_dir() else read
        if original.exists() and file.samefile(original):
            raise BadInput(f"{file} is what is read: write to another place")
    if file.is_dir():
        raise BadInput(f"{file} is a folder: name a file")
    if not overwrite:
        raise BadInput(f"{file} exists: choose another name, or add --overwrite")


def check_writable(file: Path) -> None:
    """Raise BadInput if a byte cannot be written to `file`, which stays as it is."""
    make_folder(file.parent)
    new = not file.exists()
    try:
        with file.open("ab", buffering=0) as opened:
            size = opened.tell()
            opened.write(b"\n")
            if file.is_file():
                opened.truncate(size)
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror}): choose another place") from error
    finally:
        if new:
            file.unlink(missing_ok=True)


def check_distinct(files: Iterable[Path]) -> None:
    """Raise BadInput if two of the outputs are one file."""
    for file, times in Counter(file.resolve() for file in files).items():
        if times > 1:
            raise BadInput(f"{file} would be written twice: give each output a name of its own")


def distinct_stems(sources: list[Source]) -> list[str]:
    """A name for the files of each source: its stem, numbered where two would be the same."""
    stems: list[str] = []
    for source in sources:
        stem, count = source.info.stem, 1
        while stem in stems:
            count += 1
            stem = f"{source.info.stem}-{count}"
        stems.append(stem)
    return stems


def _has_suffix(path: Path) -> bool:
    """Whether its last part ends as files do; "v1.0" and "out.2026-11-25" are folders."""
    return path.suffix[1:2].isalpha()


def _file_in(given: Path, stem: str, suffix: str, several: bool) -> Path:
    """`given` if it is a file's name and there is one source, else a file in that folder."""
    is_folder = given.is_dir() or not (_has_suffix(given) or given.exists())
    if several and not is_folder:
        raise BadInput(f"{given} is one file for several sources: name a folder")
    return given / f"{stem}{suffix}" if is_folder else given
