"""What a dead driver has left ends."""

import subprocess
import sys
import time
from pathlib import Path

from hrpose_rt.batch.ray_guard import start_guard, users

HOLDER = "import sys, time; file = open(sys.argv[1], 'w'); print(flush=True); time.sleep(60)"


def holder(path: Path) -> "subprocess.Popen[bytes]":
    """A process that has this file open."""
    one = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert one.stdout
    one.stdout.readline()
    one.stdout.close()
    return one


def test_processes_of_the_folder_end_with_the_guard_and_no_others(tmp_path) -> None:
    (tmp_path / "ray-1").mkdir()
    (tmp_path / "ray-10").mkdir()
    ours, other = holder(tmp_path / "ray-1" / "log"), holder(tmp_path / "ray-10" / "log")
    guard = start_guard(tmp_path / "ray-1")
    assert users(str(tmp_path / "ray-1")) == {ours.pid}
    time.sleep(0.3)
    assert ours.poll() is None and guard.poll() is None
    guard.communicate()
    assert ours.wait(1) == -9 and other.poll() is None
    assert not (tmp_path / "ray-1").exists()
    other.kill()
    other.wait()
