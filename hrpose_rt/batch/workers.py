"""Workers: processes of this machine that do tasks side by side, each with networks of its own."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Protocol

from hrpose_rt.batch.options import Options
from hrpose_rt.batch.task import Outcome, Task
from hrpose_rt.batch.work import Worker
from hrpose_rt.errors import BadInput, HrposeError, RunBroken
from hrpose_rt.hardware import usable_cores

CORES = 2  # of a worker, unless the user says otherwise
MAX_WORKERS = 10_000  # in a cluster
WAIT_S = 0.5  # between two events `None`, so that the display stays alive


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the task of a worker is: frames done, and all frames as far as known."""

    worker: int
    frames: int
    of: int | None


Event = Outcome | Progress | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where workers run, and what each of them gets.

    >>> from hrpose_rt.batch.workers import Place
    >>> Place(workers=2, threads=3).is_local
    True

    Attributes:
        address: Empty for processes of this machine; "local" for a Ray on this machine, which listens on
            its loopback interface alone; "auto" or host:port for a Ray cluster that has this machine.
        workers: How many; 0 is as many as the cluster has room for.
        threads: Cores of each.
        gpus: What Ray gives each of its GPUs, which may be a share of one.

    Raises:
        BadInput: A number is out of its range.
    """

    address: str = ""
    workers: int = 1
    threads: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus and not self.address:
            raise BadInput("`gpus_per_worker` divides the GPUs of Ray: add `ray`")
        if not (0 <= self.gpus <= 1 or (self.gpus <= 16 and self.gpus == int(self.gpus))):
            raise BadInput(f"`gpus_per_worker` is 0 to 1, or a whole number up to 16, not {self.gpus:g}")
        most = usable_cores() if self.is_local else MAX_WORKERS
        if not 0 <= self.workers <= most:
            of = ", the cores of this machine" if self.is_local else ""
            raise BadInput(f"`workers` is 0 to {most}{of}, not {self.workers}")

    @classmethod
    def divided(cls, address: str, workers: int, threads: int, gpus: float = 0.0) -> "Place":
        """A place whose workers share the cores of this machine, or have those that Ray finds for them.

        Args:
            address: As above.
            workers: How many; 0 is one for two cores, or as many as the cluster has room for.
            threads: All cores to use on this machine, 0 for those it has; in a cluster, those of each.
            gpus: As above.
        """
        place = cls(address, workers, gpus=gpus)
        if not place.is_local:
            return replace(place, threads=threads or CORES)
        cores = threads or usable_cores()
        workers = workers or max(1, cores // CORES)
        return replace(place, workers=workers, threads=max(1, cores // workers))

    @property
    def is_local(self) -> bool:
        """Whether all of it is on this machine."""
        return self.address in ("", "local")


class Pool(Protocol):
    """Workers that take tasks. A pool is the one place that knows where they run."""

    count: int  # of its workers

    def free(self) -> list[int]:
        """The numbers of the workers that have nothing to do."""

    def start(self, worker: int, task: Task) -> None:
        """Give a task to a free worker."""

    def events(self) -> Iterator[Event]:
        """Yield what happens, and None now and then. It never ends: tasks may be started meanwhile.

        Raises:
            BadInput: The networks cannot be opened.
            RunBroken: A worker ends before it can work.
        """

    def close(self) -> None:
        """End all workers, also those that are at work."""


@dataclass(slots=True)
class _Process:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None


class LocalPool:
    """Processes of this machine. A worker that dies is replaced; its task ends with `Outcome.died`.

    Processes are started afresh rather than forked, because libraries with threads do not survive a fork.
    A script that uses this needs `if __name__ == "__main__":` around it, as all of `multiprocessing` does.

    Args:
        count: How many.
        options: What is done with each video.
    """

    def __init__(self, count: int, options: Options) -> None:
        self._options = options
        self._context = multiprocessing.get_context("spawn")
        self.count = count
        self._workers = {number: self._spawn() for number in range(count)}

    def _spawn(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._options), daemon=True)
        process.start()
        theirs.close()  # so that the end of the process ends the connection
        return _Process(process, ours)

    def free(self) -> list[int]:
        """See `Pool.free`."""
        return [number for number, one in self._workers.items() if one.ready and not one.task]

    def start(self, worker: int, task: Task) -> None:
        """See `Pool.start`."""
        one = self._workers[worker]
        one.task = task
        try:
            one.connection.send(task)
        except OSError:
            pass  # it has died, and `events` will say so

    def events(self) -> Iterator[Event]:
        """See `Pool.events`."""
        while True:
            connections = {one.connection: number for number, one in self._workers.items()}
            ready = wait(list(connections), timeout=WAIT_S)
            for connection in ready:
                yield from self._receive(connections[connection])  # type: ignore[index]
            if not ready:
                yield None

    def _receive(self, number: int) -> Iterator[Event]:
        one = self._workers[number]
        try:
            message = one.connection.recv()
        except (EOFError, OSError):
            yield from self._replace(number)
            return
        if isinstance(message, str):
            raise BadInput(message)
        if isinstance(message, Outcome):
            one.task = None
            yield message
        elif isinstance(message, tuple):
            yield Progress(number, *message)
        else:
            one.ready = True
            yield None

    def _replace(self, number: int) -> Iterator[Event]:
        """A worker has died: start another, and tell whose task is lost."""
        one = self._workers[number]
        one.connection.close()
        one.process.join()
        if not one.ready:
            raise RunBroken(
                f"a worker ended before it was ready (exit code {one.process.exitcode}): each needs memory "
                "for its own networks, take fewer `workers`"
            )
        self._workers[number] = self._spawn()
        if one.task:
            yield Outcome(one.task, died=True)

    def close(self) -> None:
        """See `Pool.close`."""
        for one in self._workers.values():
            one.process.kill()
        for one in self._workers.values():
            one.process.join()
            one.connection.close()


def _serve(connection: Connection, options: Options) -> None:
    """A worker: sends "ready" as None, or the reason as text; then, for each task, pairs and an outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        worker = Worker(options)
    except HrposeError as error:
        connection.send(str(error))
        return
    with worker:
        connection.send(None)
        while True:
            try:
                task = connection.recv()
            except EOFError:
                return
            connection.send(worker.do(task, lambda frames, of: connection.send((frames, of))))


def _end_with_parent() -> None:
    """End this process when its parent ends, however it ends: it must not write beside a second call."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)
