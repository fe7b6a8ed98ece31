"""Silence libraries that print to stderr. Our errors say the same more clearly."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from hrpose_rt import console

STDERR = 2
_SILENT = 0  # OpenCV's log level for no messages
_ONE_AT_A_TIME = threading.Lock()  # one stderr per process: a thread must not restore another's


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Hide what OpenCV prints about a damaged file or a busy camera.

    In the command line's own process this also hides what libpng and libjpeg print. They have no log level,
    so stderr goes to the null device. In another program that would lose the output of its threads.
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
    except OSError:  # stderr is closed
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
