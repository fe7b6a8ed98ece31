"""Messages on the terminal during a run."""

import sys
from collections.abc import Callable

# Set by the command line, which owns the process.
own_process = False
debug = False  # whether errors show their traceback
wording: Callable[[str], str] = str  # rewrites a message: options for arguments


def say(text: str) -> None:
    """Print a message to standard error; standard output may be used for poses."""
    print(wording(text), file=sys.stderr)
