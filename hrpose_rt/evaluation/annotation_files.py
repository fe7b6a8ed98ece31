"""Find and check the image files of a data set, whatever tool wrote its annotations."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image

from hrpose_rt.errors import BadInput


def picture_finder(folder: Path) -> Callable[[str], Path]:
    """A function that finds images of a folder by their names in the annotations.

    A name may have Windows separators, another Unicode composition or other letter case, and may begin with
    the folder's own name. If no file matches, the function returns the path as written.
    """
    listed = cache(_listed)

    def find(name: str) -> Path:
        plain = PurePosixPath(name.replace("\\", "/"))
        for given in (PurePosixPath(name), plain):
            if (folder / given).is_file():
                return folder / given
        if plain.parts[:1] == (folder.name,):
            plain = PurePosixPath(*plain.parts[1:])
        alike = listed(folder / plain.parent)[_key(plain.name)]
        return alike[0] if len(alike) == 1 else folder / name

    return find


def check_size(
    picture: Path, wanted_wh: tuple[float, float], found_wh: tuple[int, int] | None = None
) -> None:
    """Raise BadInput unless an image, as stored, has the size that its annotations give.

    Args:
        picture: The file.
        wanted_wh: Width and height in the annotations.
        found_wh: Width and height of the decoded image; None to read them from the file's header.
    """
    try:
        found_wh = found_wh or _stored_size(picture)
    except (OSError, ValueError, Image.DecompressionBombError):
        return  # the error is raised when the image is read
    if found_wh != wanted_wh:
        (w, h), (wanted_w, wanted_h) = found_wh, wanted_wh
        raise BadInput(
            f"{picture} is {w}x{h}, the annotations say {wanted_w:g}x{wanted_h:g}: "
            "give the pictures that were annotated, not turned or resized"
        )


def _stored_size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def _listed(folder: Path) -> dict[str, list[Path]]:
    files = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        files[_key(path.name)].append(path)
    return files


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
