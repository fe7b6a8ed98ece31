"""What is said on the terminal while something runs."""

import sys
from collections.abc import Callable

wording: Callable[[str], str] = str  # of what is said; the command line names its options


def say(text: str) -> None:
    """Tell whoever waits at a terminal; standard output may be for poses."""
    print(wording(text), file=sys.stderr)
