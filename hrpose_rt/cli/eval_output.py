"""Shared code of the `eval` commands: images, tables and output files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from hrpose_rt.cli.outputs import check_free
from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotation_files import image_finder
from hrpose_rt.evaluation.predict import AnnotatedImage
from hrpose_rt.paths import make_folder, write_json

SCORES, RESULTS, PREDICTIONS = "scores.json", "results.json", "pred.mat"
SCORES_SCHEMA = 1


def check_output(folder: Path | None, overwrite: bool) -> None:
    """Raise BadInput, before anything is computed, if an output file exists."""
    for name in (RESULTS, SCORES, PREDICTIONS) if folder else ():
        check_free(Path(folder or "") / name, overwrite)


def annotated_images(truth: Any, folder: Path | None) -> list[AnnotatedImage]:
    """The images of a COCO annotation file; BadInput names the first missing one."""
    if folder is None:
        raise BadInput("--images is needed to run a network: the folder of the annotated images")
    listed = truth.loadImgs(truth.getImgIds())
    if nameless := [image["id"] for image in listed if not isinstance(image.get("file_name"), str)]:
        raise BadInput(f"image {nameless[0]} of the annotations has no file_name: add it")
    find = image_finder(folder)
    images = [
        AnnotatedImage(i["id"], find(i["file_name"]), (i.get("width"), i.get("height"))) for i in listed
    ]
    missing = [image for image in images if not image.file.is_file()]
    if missing:
        raise BadInput(
            f"{missing[0].file} (image {missing[0].id}) is missing, with {len(missing) - 1} others of "
            f"{len(images)}: check --images"
        )
    return images


@contextmanager
def steps(total: int, what: str = "images") -> Iterator[Callable[[], None]]:
    """Show a progress bar on stderr; call the yielded function at every step."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table with aligned columns."""
    lines = [header, *rows]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = ["-" * width for width in widths]
    for line in (header, rule, *rows):
        print("| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |")


def share(value: float) -> str:
    """Format a value in 0..1 as the field does, such as .744; a dash if there is none."""
    if not value >= 0:  # COCO's -1, or NaN
        return "-"
    return f"{value:.3f}".removeprefix("0")


def write_output(folder: Path, name: str, content: Any) -> None:
    """Write a file in the output folder, completely or not at all."""
    make_folder(folder)
    write_json(folder / name, content)
