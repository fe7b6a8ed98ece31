"""Where this program keeps what it fetches and builds."""

import os
from pathlib import Path

HOME_VARIABLE = "HRPOSE_HOME"


def home_folder() -> Path:
    """The folder that `HRPOSE_HOME` names, or `hrpose-rt` in the user's cache; it may not be there yet."""
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hrpose-rt"
