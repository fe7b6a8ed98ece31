"""What is said on the terminal while something runs."""

import sys


def say(text: str) -> None:
    """Tell whoever waits at a terminal; standard output may be for poses."""
    print(text, file=sys.stderr)
