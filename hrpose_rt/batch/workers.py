"""Workers: processes of this machine that do tasks side by side, each with networks of its own."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Protocol

from hrpose_rt.batch.options import Options
from hrpose_rt.batch.work import Outcome, Task, Worker
from hrpose_rt.errors import BadInput, HrposeError, RunBroken

WAIT_S = 0.5  # between two events `None`, so that the display stays alive


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the task of a worker is: frames done, and all frames as far as known."""

    worker: int
    frames: int
    of: int | None


Event = Outcome | Progress | None


class Pool(Protocol):
    """Workers that take tasks. A pool is the one place that knows where they run."""

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
