"""The folder of what is fetched and built."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.nets.download import fetch
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import atomic_write, cache_dir, file_lock, make_writable


def test_make_writable_creates_folder(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    make_writable(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_cache_dir_without_home_suggests_hrpose_home(monkeypatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    for name in ("HRPOSE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="this user has no home folder: set HRPOSE_HOME to a folder"):
        cache_dir()


ALONE = """
    import socket, time
    asked = []
    look_up = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *args, **more: (asked.append(host), look_up(host, *args, **more))[1]
    import numpy as np
    from hrpose_rt import PosePipeline, Settings
    for runtime in ("openvino", "onnxruntime"):
        with PosePipeline(Settings(runtime=runtime)) as pipeline:
            pipeline.process(np.zeros((48, 64, 3), np.uint8))
    time.sleep(0.5)
    print(asked)
"""


def test_pipeline_sends_no_telemetry_and_leaves_no_home_files(tmp_path: Path) -> None:
    """No library looks a host up, or leaves a file about the user at home."""
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(ALONE)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    ours = Path(".cache/hrpose-rt/compiled")
    assert [file for file in files if file.parent != ours] == []


@pytest.mark.parametrize("how", ["file", "read-only"])
def test_unwritable_home_raises_bad_input_in_export_and_download(how, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    if how == "file":
        home.write_text("in the way")
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("HRPOSE_HOME", str(home))
    words = "home/.* cannot be written .*: set HRPOSE_HOME to a folder that can be written"
    with pytest.raises(BadInput, match=words):
        export(
            find_model("hrnet-w16-lite", "pose"), "pose", ExportRequest("onnx", "fp32"), lambda step: None
        )
    with pytest.raises(BadInput, match=words):
        fetch("http://127.0.0.1:9/net.pth", home / "models" / "net.pth", "0", lambda done, total: None)
    with pytest.raises(BadInput, match=r"cannot be written .*: choose another `folder`"):
        order = ExportRequest("onnx", "fp32", folder=home / "engines")
        export(find_model("hrnet-w16-lite", "pose"), "pose", order, lambda step: None)


def test_atomic_write_keeps_old_file_on_error(tmp_path) -> None:
    file, link = tmp_path / "report.json", tmp_path / "link.json"
    with atomic_write(file) as partial:
        partial.write_text("old")
        assert not file.exists()
    link.symlink_to(file)
    with pytest.raises(OSError, match="full"), atomic_write(link) as partial:
        partial.write_text("half")
        raise OSError("full")
    assert file.read_text() == "old" and sorted(tmp_path.iterdir()) == [link, file]
    with atomic_write(link) as partial:
        partial.write_text("new")
    assert link.is_symlink() and file.read_text() == "new"


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="there is no /dev/null here")
def test_atomic_write_writes_device_in_place() -> None:
    with atomic_write(Path("/dev/null")) as file:
        assert file == Path("/dev/null")


LOCK = """
    import signal, sys, time
    from pathlib import Path
    from hrpose_rt.paths import file_lock
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with file_lock(Path(sys.argv[1]), lambda text: print(text, flush=True)):
        print("locked", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def lock_elsewhere(tmp_path: Path):
    """Start a process that locks an engine, and read its first line."""
    processes = []

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", textwrap.dedent(LOCK), str(tmp_path / "net.onnx")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **pipes)
        processes.append(process)
        return process, process.stdout.readline()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_waiting_for_a_lock_is_said_and_a_killed_process_frees_it(lock_elsewhere, tmp_path: Path) -> None:
    holder, said = lock_elsewhere()
    assert said == "locked\n"
    waiting, said = lock_elsewhere()
    assert said == "waiting for another process that builds net.onnx\n"
    holder.kill()
    assert waiting.stdout.readline() == "locked\n"
    waiting.kill()
    waiting.wait()
    told: list[str] = []
    with file_lock(tmp_path / "net.onnx", told.append):
        assert told == []


def test_interrupt_ends_waiting_for_a_lock(lock_elsewhere) -> None:
    lock_elsewhere()
    waiting, _ = lock_elsewhere()
    waiting.send_signal(signal.SIGINT)
    _, error = waiting.communicate(timeout=20)
    assert waiting.returncode == -signal.SIGINT and "KeyboardInterrupt" in error


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside, most = [], []

    def build(_: int) -> None:
        with file_lock(tmp_path / "net.onnx", lambda text: None):
            inside.append(1)
            time.sleep(0.01)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(8)))
    assert most == [1] * 8
