"""Libraries that print to stderr what is said better by an error of ours."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
_ONE_AT_A_TIME = threading.Lock()  # the process has one stderr: two threads must not put back each other's


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what libpng and OpenCV print of a damaged file or a busy camera away from the user."""
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(STDERR)
        except OSError:  # there is no stderr
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            os.close(nowhere)
