"""Files as annotation tools leave them: JSON of any of them, and pictures by the names it gives."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image

from hrpose_rt.errors import BadInput


def picture_finder(folder: Path) -> Callable[[str], Path]:
    """What finds pictures of a folder by the names in its annotations.

    A name may have Windows' separators, letters composed in another way or in other cases, and may begin
    with the folder's own name. Where nothing fits, it is the path as it was written.
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
    """Raise BadInput if a picture, as stored, is not of the size that its annotations say.

    Args:
        picture: The file.
        wanted_wh: Width and height by the annotations.
        found_wh: Of the picture, where it was read; else the file's header is.
    """
    try:
        found_wh = found_wh or _stored_size(picture)
    except (OSError, ValueError, Image.DecompressionBombError):
        return  # whoever reads it will say what is wrong
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
