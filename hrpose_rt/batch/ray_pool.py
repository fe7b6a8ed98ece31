"""Workers on the machines of a Ray cluster, or of a Ray that this process starts."""

import math
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hrpose_rt
from hrpose_rt.batch.names import WORK
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.parcel import Parcel, pack, unpack
from hrpose_rt.batch.ray_guard import start_guard
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.work import Worker
from hrpose_rt.batch.workers import MAX_WORKERS, WAIT_S, Event, Place, Progress
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, HrposeError, RunBroken, RuntimeMissing, install_hint, last_line

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
CONNECT_S = 5.0
ASKED_A_ROUND = 40  # actors that tell their progress in `WAIT_S`
ATTEMPTS = 3  # to open the networks of a worker
PATIENCE_S = 15.0  # after which a wait for machines is told
STORE_BYTES = 128 * 2**20  # of the object store of a Ray that this process starts: it holds the options


@dataclass(slots=True)
class _Actor:
    handle: Any
    opening: Any  # the call that opens the networks; None when it has returned
    attempt: int
    task: Task | None = None
    doing: Any = None
    asking: Any = None

    def calls(self) -> list[Any]:
        return [call for call in (self.opening, self.doing, self.asking) if call is not None]


class RayPool:
    """Actors of Ray, each with networks of its own. See `Pool`.

    The options and the files of the networks are put into Ray's object store once. An actor that dies,
    alone or with its machine, is replaced wherever there is room; its task ends with `Outcome.died`.

    Args:
        place: Where they run.
        options: What is done with each video.
        output: The folder of the batch, which all machines see; None if it is at a URL.
        most: No more workers than that have work.

    Raises:
        RuntimeMissing: Ray is not installed.
        BadInput: No cluster answers at the address.
    """

    def __init__(
        self, place: Place, options: Options, output: Path | None, most: int = MAX_WORKERS
    ) -> None:
        self._place, self._actors = place, dict[int, _Actor]()
        self._ray, self._guard = _connect(place)
        try:
            self._patient_until = time.monotonic() + PATIENCE_S
            self.count = min(place.workers or self._room(), most)
            parcel = Parcel(options.settings, {}, {}) if place.is_local else pack(options.settings)
            self._seen = str(output.absolute() / WORK / "lock") if output else ""
            self._order = self._ray.put((hrpose_rt.__version__, options, parcel))
            for number in range(self.count):
                self._actors[number] = self._spawn()
        except BaseException:
            self.close()
            raise

    @property
    def _pause_s(self) -> float:
        """Between two answers of an actor about its progress: many actors are asked less often."""
        return WAIT_S * max(1.0, self.count / ASKED_A_ROUND)

    def _room(self) -> int:
        """How many workers all machines together have room for now; at least one."""
        room = 0
        for node in self._ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            fits = has.get("CPU", 0) // self._place.threads
            if self._place.gpus:
                fits = min(fits, has.get("GPU", 0) // self._place.gpus)
            room += int(fits)
        return max(1, room)

    def _spawn(self, attempt: int = 1) -> _Actor:
        made = self._ray.remote(concurrency_groups={"ask": 1})(RayWorker)
        handle = made.options(num_cpus=self._place.threads, num_gpus=self._place.gpus).remote()
        return _Actor(handle, handle.open.remote(self._order, self._seen), attempt)

    def free(self) -> list[int]:
        """See `Pool.free`."""
        return [n for n, one in self._actors.items() if one.opening is None and one.task is None]

    def start(self, worker: int, task: Task) -> None:
        """See `Pool.start`."""
        one = self._actors[worker]
        one.task, one.doing = task, one.handle.do.remote(task)
        self._ask(one)

    def _ask(self, one: _Actor) -> None:
        one.asking = one.handle.progress.options(concurrency_group="ask").remote(self._pause_s)

    def events(self) -> Iterator[Event]:
        """See `Pool.events`."""
        while True:
            calls = {call: number for number, one in self._actors.items() for call in one.calls()}
            done, _ = self._ray.wait(list(calls), timeout=WAIT_S)
            for call in done:
                yield from self._receive(calls[call], call)
            if not done:
                self._tell_wait()
                yield None

    def _receive(self, number: int, call: Any) -> Iterator[Event]:
        one = self._actors[number]
        if call not in one.calls():
            return  # the actor has been replaced
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError:
            raise  # a fault of this program
        except self._ray.exceptions.RayError as error:
            yield from self._replace(number, error)
            return
        if call is one.opening:
            if answer:
                raise BadInput(answer)
            one.opening = None
            one.attempt = 0
            yield None
        elif call is one.doing:
            one.task = one.doing = one.asking = None
            yield answer
        else:
            self._ask(one)
            yield Progress(number, *answer)

    def _replace(self, number: int, error: Exception) -> Iterator[Event]:
        """An actor has died, or its machine is out of reach: start another, and tell whose task is lost."""
        one = self._actors[number]
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(one.handle)  # if it still lives, it must not go on
        if one.attempt >= ATTEMPTS:
            raise RunBroken(
                f"a worker ended {ATTEMPTS} times before it was ready ({last_line(error)}): each needs "
                "memory for its own networks, and hrpose-rt on its machine"
            )
        self._actors[number] = self._spawn(one.attempt + 1)
        self._patient_until = time.monotonic() + PATIENCE_S
        if one.task:
            yield Outcome(one.task, died=True)

    def _tell_wait(self) -> None:
        """Say once that there is no room for any worker."""
        ready = any(one.opening is None for one in self._actors.values())
        if ready or time.monotonic() < self._patient_until:
            return
        self._patient_until = math.inf
        free = self._ray.available_resources()
        say(
            f"no worker has a place yet: each takes {self._place.threads} CPUs and {self._place.gpus:g} "
            f"GPUs, and Ray has {free.get('CPU', 0):g} and {free.get('GPU', 0):g} free"
        )

    def close(self) -> None:
        """See `Pool.close`."""
        for one in self._actors.values():
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(one.handle)
        self._ray.shutdown()
        if self._guard:
            self._guard.communicate()  # it ends what is left of a local Ray


class RayWorker:
    """The worker in an actor."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._frames: tuple[int, int | None] = (0, None)

    def open(self, order: tuple[str, Options, Parcel], seen: str) -> str:
        """Open the networks; returns why that is not possible, or an empty text.

        Args:
            order: The version of hrpose-rt at work, what is done, and the settings with their files.
            seen: A file that is there while the batch runs; empty if it is at a URL.
        """
        version, options, parcel = order
        here = socket.gethostname()
        if version != hrpose_rt.__version__:
            return f"{here} has hrpose-rt {hrpose_rt.__version__}: install {version} there, as it is here"
        if seen and not Path(seen).exists():
            return (
                f"{here} does not see {Path(seen).parents[1]}: `output` and the videos are in folders that "
                "all machines of the cluster share, or at URLs"
            )
        try:
            settings, opener = unpack(parcel), options.open_pipeline
            self._worker = Worker(replace(options, open_pipeline=lambda _: opener(settings)))
        except HrposeError as error:
            return f"{error} (on {here})"
        return ""

    def do(self, task: Task) -> Outcome:
        """Do a task."""
        assert self._worker
        self._frames = (0, None)
        return self._worker.do(task, self._progress)

    def _progress(self, frames: int, of: int | None) -> None:
        self._frames = (frames, of)

    def progress(self, pause_s: float) -> tuple[int, int | None]:
        """How far the task is, after a pause."""
        time.sleep(pause_s)
        return self._frames


def _connect(place: Place) -> "tuple[Any, subprocess.Popen[bytes] | None]":
    """Ray, connected, and the process that ends the one that was started here."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told to anyone
    if place.is_local:
        # Read when Ray is imported. Without it, Ray listens on all interfaces, whatever address it gets.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Other users of this machine have no part in it. Ray would keep a token in the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise RuntimeMissing(f"`ray` needs ray: {install_hint('cluster')}") from error
    if not place.is_local:
        _check_address(place.address, ray.util.get_node_ip_address())
    known: dict[str, Any] = {"logging_level": "CRITICAL", "log_to_driver": False}
    guard = None
    if place.is_local:
        short = "/tmp" if Path("/tmp").is_dir() else None  # long paths of sockets are refused
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir=short))
        known |= {"num_cpus": place.workers * place.threads, "object_store_memory": STORE_BYTES}
        known |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "_temp_dir": str(folder)}
        guard = start_guard(folder)
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(place.address, **known)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if guard:
            guard.communicate()
        why = last_line(error).replace("`", "")
        if isinstance(error, ConnectionError):
            why = "it does not answer; RAY_AUTH_MODE=token is for clusters with tokens"
        raise BadInput(
            f"Ray cannot be used at {place.address} ({why}): start it with ray start --head"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_term)  # Ray has set its own
    return ray, guard


def _check_address(address: str, own_host: str) -> None:
    """Whether something listens there: Ray itself would wait for ever.

    Args:
        address: As the user gives it.
        own_host: The address of this machine that Ray takes for those of its loopback interface.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "/" in host:
        raise BadInput(f"`ray` is local, auto, or the host:port of a cluster, not {address}")
    host = own_host if host in LOOPBACK else host
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInput(
            f"no Ray answers at {host}:{port} ({why}): start it there with ray start --head"
        ) from error
