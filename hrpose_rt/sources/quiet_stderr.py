"""Libraries that print to stderr what is said better by an error of ours."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from hrpose_rt import console

STDERR = 2
_SILENT = 0  # OpenCV's level at which it says nothing
_ONE_AT_A_TIME = threading.Lock()  # the process has one stderr: two threads must not put back each other's


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Keep what OpenCV prints of a damaged file or a busy camera away from the user.

    Of the command line's own process also what libpng and libjpeg print, which know no level: its stderr is
    nowhere meanwhile. In a program of others that would take the lines of their threads.
    """
    with _ONE_AT_A_TIME:
        level = cv2.utils.logging.setLogLevel(_SILENT)
        try:
            if console.own_process:
                with _without_stderr():
                    yield
            else:
                yield
        finally:
            cv2.utils.logging.setLogLevel(level)


@contextmanager
def _without_stderr() -> Iterator[None]:
    try:
        kept = os.dup(STDERR)
    except OSError:  # there is none
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
