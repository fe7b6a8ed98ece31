"""OpenVINO in a process: signals after networks are closed, and the cores of threads."""

import subprocess
import sys

import pytest

from hrpose_rt.paths import models_folder
from hrpose_rt.runtimes import ov

SCRIPT = """
import signal, subprocess
from hrpose_rt.paths import models_folder
from hrpose_rt.runtimes.ov import OpenVinoRuntime
signal.signal(signal.SIGCHLD, lambda *_: None)
engine = models_folder() / "hrnet-w16-lite.onnx"
first, second = (OpenVinoRuntime(engine, "fp32", threads=1) for _ in range(2))
for runtime in (first, second):
    runtime.warm_up([(1, 256, 192, 3)])
first.close()
del first, runtime
second.close()
del second
subprocess.run(["true"])
print("alive")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGCHLD")
def test_signals_after_closing_networks_do_not_kill_the_process() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert (run.returncode, run.stdout.split()) == (0, ["alive"]), run.stderr


def test_threads_that_do_not_fill_the_cores_are_not_pinned(monkeypatch) -> None:
    """If they were pinned to a part of the cores, it would be the same part in every process."""
    monkeypatch.setattr(ov, "usable_cores", lambda: 4)
    engine = models_folder() / "hrnet-w16-lite.onnx"
    runtime = ov.OpenVinoRuntime(engine, "fp32", threads=1)
    compiled = runtime._compile((1, 256, 192, 3))._request.get_compiled_model()
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert "ENABLE_CPU_PINNING" not in ov.OpenVinoRuntime(engine, "fp32", threads=4)._hints
