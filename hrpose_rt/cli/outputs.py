"""Choose and check a command's output files before anything is opened or overwritten."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hrpose_rt.console import say
from hrpose_rt.errors import BadInput
from hrpose_rt.paths import make_folder
from hrpose_rt.sinks.formats import Output, image_output, video_output
from hrpose_rt.sinks.text import check_not_stdout
from hrpose_rt.sinks.video import Audio
from hrpose_rt.sources.base import Source
from hrpose_rt.sources.images import Images


def picture_output(
    save: str, source: Source, stem: str, several: bool, audio: bool = True, encoder: str = "x264"
) -> Output:
    """The output for the annotated frames of a source; `audio` keeps the sound of a file."""
    check_not_stdout(save, "save", "a file or a folder")
    if isinstance(source, Images):
        return image_output(save, source.info, stem, several, source.names)
    return video_output(
        save, source.info, stem, several, lambda: _audio(source) if audio else None, encoder
    )


def _audio(source: Source) -> Audio | None:
    """The sound of a video; prints a message if it cannot be kept."""
    from hrpose_rt.sources.video import VideoFile

    if not isinstance(source, VideoFile) or not source.audio_codec:
        return None
    audio = source.open_audio()
    if audio is None:
        say(f"the sound of {source.info.name} is left out: an mp4 holds no {source.audio_codec}")
    return audio


def check_free(file: Path, overwrite: bool, sources: Iterable[str] = ()) -> None:
    """Raise BadInput if `file` must not be written: it exists, or it is an input."""
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
    """Raise BadInput if a byte cannot be written to `file`. Its content stays unchanged."""
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
    """Raise BadInput if two outputs are the same file."""
    for file, times in Counter(file.resolve() for file in files).items():
        if times > 1:
            raise BadInput(f"{file} would be written twice: give each output a name of its own")


def distinct_stems(sources: list[Source]) -> list[str]:
    """A file name for each source: its stem, numbered if two are the same."""
    stems: list[str] = []
    for source in sources:
        stem, count = source.info.stem, 1
        while stem in stems:
            count += 1
            stem = f"{source.info.stem}-{count}"
        stems.append(stem)
    return stems
