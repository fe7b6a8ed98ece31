"""Ends what a Ray of this machine has started, however its driver ends. A process of its own.

After `kill -9` of its driver, Ray's servers end at once, but two of their helpers wait for them for good.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_S = 2.0


def start_guard(folder: Path) -> "subprocess.Popen[bytes]":
    """Watch this process: when it ends or closes the guard's input, what uses the folder of a Ray ends.

    The folder is removed.
    """
    command = [sys.executable, "-m", __name__, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def users(folder: str) -> set[int]:
    """The processes that have a file in this folder open; none where the system has no /proc to tell.

    Each process of a Ray has its logs open there.
    """
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(path).startswith(f"{folder}/"):
                found.add(int(path.parts[2]))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def _guard(folder: str) -> None:
    driver = {os.getppid()}  # it also has a log there, and may live on
    sys.stdin.buffer.read()
    deadline = time.monotonic() + GRACE_S
    while (left := users(folder) - driver) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _guard(sys.argv[1])
