"""`hrpose-rt run` that a signal or a closed terminal ends: its table, its report, its whole files."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, frames_of, lines_of
from tests.conftest import write_video


def command_in(folder: Path) -> list[str]:
    """A run that takes longer than a test."""
    video = write_video(folder / "long.mp4", frames=3000, size_wh=(320, 240))
    return [*COMMAND, "run", str(video), "--save", "a.mp4", "--json", "a.jsonl", "--report", "r.json"]


def has_begun(folder: Path) -> bool:
    lines = folder / "a.jsonl"
    return lines.exists() and lines.read_bytes().count(b"\n") >= 20


def check_readable(folder: Path) -> None:
    """The outputs of a run that was stopped hold the same frames."""
    written = len(lines_of(folder / "a.jsonl")) - 1
    assert 19 <= written < 3000
    assert abs(frames_of(folder / "a.mp4") - written) <= 1
    assert abs(json.loads((folder / "r.json").read_text())["frames"] - written) <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_sigint_sigterm_and_sighup_leave_table_and_readable_outputs(number: int, tmp_path) -> None:
    with subprocess.Popen(
        command_in(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup it would be ignored
    ) as p:
        while not has_begun(tmp_path):
            assert p.poll() is None
            time.sleep(0.02)
        p.send_signal(number)
        begin = time.monotonic()
        out, err = p.communicate(timeout=20)
        assert time.monotonic() - begin < 5  # a second, on a machine that does nothing else
    assert (p.returncode, err) == (128 + number, "")
    assert "milliseconds a frame" in out
    check_readable(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_closed_terminal_leaves_readable_outputs_and_its_exit_status(tmp_path) -> None:
    ours, theirs = os.openpty()

    def own_terminal() -> None:
        import fcntl
        import termios

        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        command_in(tmp_path),
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,
    ) as p:
        os.close(theirs)
        while not has_begun(tmp_path):
            assert p.poll() is None
            if select.select([ours], [], [], 0.02)[0]:
                os.read(ours, 10_000)
        os.close(ours)  # as a window that is closed, or a connection that breaks off
        assert p.wait(timeout=20) == 128 + signal.SIGHUP
    check_readable(tmp_path)
