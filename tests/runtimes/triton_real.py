"""A Triton server as a process on loopback, for tests that find one on this machine."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

VARIABLE = "HRPOSE_TRITON"  # an environment of Python with nvidia-pytriton and openvino


class TritonProcess:
    """A server of a model repository that can be killed and started again. A context manager.

    Args:
        repository: The model repository.
        folder: An empty folder for its log and the backends.
        options: More options of `tritonserver`.
    """

    def __init__(self, repository: Path, folder: Path, *options: str) -> None:
        self.port, self._metrics = free_port(), free_port()
        self._log = folder / "triton.log"
        program, backends, self._environment = find_server(folder)
        self._command = [
            *(program, f"--model-repository={repository}", *options),
            *([f"--backend-directory={backends}"] if backends else []),
            *("--allow-http=false", "--grpc-address=127.0.0.1", f"--grpc-port={self.port}"),
            *("--metrics-address=127.0.0.1", f"--metrics-port={self._metrics}"),
        ]
        self._process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not self._listens():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()[
                -4000:
            ]
            time.sleep(0.1)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server and the processes of its Python backend."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, as a machine that fails would."""
        if self._process:
            self.send(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """End it as `docker stop` does: it unloads its networks, and answers until they are gone."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def metric(self, name: str, model: str) -> float:
        """The sum of one of its Prometheus metrics over the versions of a model."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        rows = [line for line in lines if line.startswith(f"{name}{{") and f'model="{model}"' in line]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def __enter__(self) -> "TritonProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def free_port() -> int:
    """A port of loopback that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_server(folder: Path) -> tuple[str, Path | None, dict[str, str]]:
    """Program, backends and environment of the server; skips the test if there is none."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if not (place := os.environ.get(VARIABLE)):
        if program := shutil.which("tritonserver"):
            return program, None, environment
        pytest.skip(f"no tritonserver on PATH, and {VARIABLE} names no environment with nvidia-pytriton")
    (package,) = Path(place).glob("lib/python3.*/site-packages/pytriton/tritonserver")
    version = package.parents[2].name.removeprefix("python")
    backends = folder / "backends"
    if not backends.exists():  # the server looks for the stub of its Python beside the backend
        shutil.copytree(package / "backends", backends)
        shutil.copy(
            package / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python"
        )
    environment["LD_LIBRARY_PATH"] = str(package.parents[1] / "nvidia_pytriton.libs")
    environment["PATH"] = f"{place}/bin:{environment['PATH']}"  # the stub takes the first python3
    return str(package / "bin" / "tritonserver"), backends, environment
