"""Find and check the image files of a data set, whatever tool wrote its annotations."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image

from hrpose_rt.errors import BadInput


def image_finder(folder: Path) -> Callable[[str], Path]:
    """A function that finds images of a folder by their names in the annotations.

    A name may have Windows separators, another Unicode composition or other letter case, and may begin with
    the folder's own name. If no file matches, the function returns the path as written.
    """
    listed = cache(_listed)

    def find(name: str) -> Path:
        plain = PurePosixPath(name.replace("\\", "/"))
        for candidate in (PurePosixPath(name), plain):
            if (folder / candidate).is_file():
                return folder / candidate
        if plain.parts[:1] == (folder.name,):
            plain = PurePosixPath(*plain.parts[1:])
        matches = listed(folder / plain.parent)[_key(plain.name)]
        return matches[0] if len(matches) == 1 else folder / name

    return find


def check_size(
    image: Path, annotated_wh: tuple[float, float], stored_wh: tuple[int, int] | None = None
) -> None:
    """Raise BadInput unless an image, as stored, has the size that its annotations give.

    Args:
        image: The file.
        annotated_wh: Width and height in the annotations.
        stored_wh: Width and height of the decoded image; None to read them from the file's header.
    """
    try:
        stored_wh = stored_wh or _stored_size(image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return  # the error is raised when the image is read
    if stored_wh != annotated_wh:
        (w, h), (annotated_w, annotated_h) = stored_wh, annotated_wh
        raise BadInput(
            f"{image} is {w}x{h}, the annotations say {annotated_w:g}x{annotated_h:g}: "
            "give the images that were annotated, not turned or resized"
        )


def _stored_size(image: Path) -> tuple[int, int]:
    with Image.open(image) as opened:
        return opened.size


def _listed(folder: Path) -> dict[str, list[Path]]:
    files = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        files[_key(path.name)].append(path)
    return files


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
