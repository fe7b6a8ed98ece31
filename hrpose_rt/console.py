"""What is said on the terminal while something runs."""

import sys
from collections.abc import Callable

# What the command line sets, whose process this then is.
own_process = False
wording: Callable[[str], str] = str  # of what is said: options for arguments


def say(text: str) -> None:
    """Tell whoever waits at a terminal; standard output may be for poses."""
    print(wording(text), file=sys.stderr)
