"""Exit statuses, signals that end a command, and error messages."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hrpose_rt.errors import HrposeError

# Arguments whose options have another name.
OPTIONS = {"memory_s": "memory", "max_age_s": "max-age", "reconnect_s": "reconnect"}
OPTIONS |= {"min_score": "kpt-score", "trails_s": "trails"}
OPTIONS |= {"fill_s": "fill", "min_length_s": "min-length"}
OPTIONS |= {"archs": "gpu-arch", "folder": "output"}
INTERRUPTED = 130  # what shells expect after Ctrl-C


class Terminated(KeyboardInterrupt):
    """Raised for SIGTERM and SIGHUP; `status` is the exit status that shells expect."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def status_after(error: KeyboardInterrupt) -> int:
    """The exit status of a command that a signal ended."""
    return error.status if isinstance(error, Terminated) else INTERRUPTED


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise `Terminated`, a KeyboardInterrupt, in the main thread for SIGTERM and SIGHUP.

    A signal that is ignored already, as under nohup, stays ignored.
    """

    def end(number: int, frame: object) -> None:
        _leave_closed_terminal()
        raise Terminated(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {n: handler for n in numbers if (handler := signal.getsignal(n)) is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_closed_terminal() -> None:
    """Drop what would go to a terminal that was closed: every write to it is an error."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            discard(descriptor)


def discard(descriptor: int) -> None:
    """Drop all that is written to a file descriptor from now on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def fail(error: HrposeError) -> int:
    """Print an error to stderr; returns its exit status."""
    print(f"hrpose-rt: {name_options(str(error))}", file=sys.stderr)
    return error.exit_code


def name_options(message: str) -> str:
    """Replace arguments in a library message by options: `max_people` becomes --max-people."""
    return re.sub(r"`(\w+)`", lambda m: f"--{OPTIONS.get(m[1], m[1].replace('_', '-'))}", message)
