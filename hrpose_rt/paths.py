"""Where this program keeps what it fetches and builds."""

import os
from pathlib import Path

from hrpose_rt.errors import BadInput

HOME_VARIABLE = "HRPOSE_HOME"
SET_HOME = f"set {HOME_VARIABLE} to a folder that can be written"


def home_folder() -> Path:
    """The folder that `HRPOSE_HOME` names, or `hrpose-rt` in the user's cache; it may not be there yet.

    Raises:
        BadInput: Neither is known, as the user has no home folder.
    """
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "hrpose-rt"
    try:
        return Path.home() / ".cache" / "hrpose-rt"
    except RuntimeError as error:  # an unknown user without HOME, as in some containers
        raise BadInput(f"this user has no home folder: {SET_HOME}") from error


def make_writable(folder: Path, hint: str = SET_HOME) -> None:
    """Make a folder that can be written into; BadInput with the hint where that is not possible."""
    reason: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason or not os.access(folder, os.W_OK):
        raise BadInput(f"{folder} cannot be written ({reason or 'it is read-only'}): {hint}")
