"""Discrete-event models: workers that share an archive, servers that take the newest frames of cameras."""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

Events = Generator[simpy.Event, Any, None]
Draw = Callable[[], float]
AGE_LIMIT_S = 0.2  # of the p99 of a server's frames: the time between two frames of a camera of 5 a second
DROPPED_LIMIT = 0.001  # the share of frames that a server may drop
CAPACITY_S = 60.0  # that a server is simulated to find how many cameras it takes


@dataclass(frozen=True)
class Failures:
    """How workers fail: after exponential times with the mean `every_s`; they return after `back_s`."""

    every_s: float
    back_s: float


@dataclass
class ArchiveRun:
    """An archive's run: seconds until its last part is done, seconds of lost work, and lost workers."""

    took_s: float = 0.0
    lost_s: float = 0.0
    failures: int = 0


def run_archive(
    parts_s: Sequence[float], workers: int, failures: Failures | None, rng: np.random.Generator
) -> ArchiveRun:
    """Simulate workers that take parts from one list; a dead worker's part goes to the end of the list.

    Args:
        parts_s: Seconds that each part takes one worker.
        workers: How many work, at least 1.
        failures: None if no worker fails.
        rng: Draws the failures.
    """
    env, run = simpy.Environment(), ArchiveRun()
    todo, finished, left = simpy.Store(env), env.event(), len(parts_s)

    def work() -> Events:
        nonlocal left
        while True:
            part_s = yield todo.get()
            # Exponential times have no memory, so each part may draw its own.
            alive_s = rng.exponential(failures.every_s) if failures else math.inf
            yield env.timeout(min(alive_s, part_s))
            if failures and alive_s < part_s:
                run.failures += 1
                run.lost_s += alive_s
                todo.put(part_s)
                yield env.timeout(failures.back_s)
            else:
                left -= 1
                if not left:
                    finished.succeed()

    for part_s in parts_s:
        todo.put(part_s)
    for _ in range(workers):
        env.process(work())
    env.run(until=finished)
    run.took_s = env.now
    return run


@dataclass
class Server:
    """One server: the newest frame of each camera waits here, by the time of its capture."""

    env: simpy.Environment
    waiting: dict[int, float] = field(default_factory=dict)
    bell: simpy.Event | None = None
    lost: bool = False

    def offer(self, camera: int) -> bool:
        """Give it a frame; returns False if that replaces a frame of the same camera."""
        kept = camera not in self.waiting
        self.waiting[camera] = self.env.now  # a newer frame keeps the camera's turn
        if self.bell:
            self.bell.succeed()
            self.bell = None
        return kept


@dataclass(frozen=True)
class Loss:
    """A server that is lost at `at_s`; its cameras are on the others `moved_s` later."""

    at_s: float
    moved_s: float


@dataclass
class FleetRun:
    """What a fleet did: the frames done, replaced and missed, by time in seconds from the start.

    Attributes:
        done: (capture, age at the end) of each frame.
        dropped: When a frame was replaced by a newer one of its camera before its turn.
        missed: When a frame came to a server that is lost.
    """

    done: list[tuple[float, float]] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)

    def figures(self, begin_s: float, end_s: float) -> dict[str, float]:
        """The ages of frames captured within a time, in ms, and the share of dropped frames."""
        done = np.array(self.done).reshape(-1, 2)
        ages = 1e3 * done[(done[:, 0] >= begin_s) & (done[:, 0] < end_s), 1]
        dropped = sum(begin_s <= when < end_s for when in self.dropped)
        p50, p99 = np.percentile(ages, (50, 99)) if len(ages) else (math.nan, math.nan)
        return {
            "p50_ms": round(float(p50), 1),
            "p99_ms": round(float(p99), 1),
            "dropped": round(dropped / max(dropped + len(ages), 1), 5),
        }


@dataclass(frozen=True)
class Fleet:
    """Cameras that are spread evenly over servers.

    Attributes:
        cameras, servers: Their numbers, at least 1.
        gap_s: Draws the seconds between two frames of a camera.
        cost_s: Draws the seconds that a frame takes a server.
    """

    cameras: int
    servers: int
    gap_s: Draw
    cost_s: Draw

    def run(self, seconds: float, rng: np.random.Generator, loss: Loss | None = None) -> FleetRun:
        """Simulate the fleet; `loss` is that of the first server."""
        env, run = simpy.Environment(), FleetRun()
        servers = [Server(env) for _ in range(self.servers)]
        home = [camera % self.servers for camera in range(self.cameras)]
        for server in servers:
            env.process(self._serve(env, server, run))
        for camera in range(self.cameras):
            env.process(self._film(env, camera, (servers, home), run, rng.uniform()))
        if loss:
            env.process(lose(env, servers, home, loss))
        env.run(until=seconds)
        return run

    def _film(
        self,
        env: simpy.Environment,
        camera: int,
        place: tuple[list[Server], list[int]],
        run: FleetRun,
        phase: float,
    ) -> Events:
        servers, home = place
        yield env.timeout(phase * self.gap_s())
        while True:
            server = servers[home[camera]]
            if server.lost:
                run.missed.append(env.now)
            elif not server.offer(camera):
                run.dropped.append(env.now)
            yield env.timeout(self.gap_s())

    def _serve(self, env: simpy.Environment, server: Server, run: FleetRun) -> Events:
        while not server.lost:
            if not server.waiting:
                server.bell = env.event()
                yield server.bell
            camera = next(iter(server.waiting))
            captured = server.waiting.pop(camera)
            yield env.timeout(self.cost_s())
            if server.lost:
                run.missed.append(captured)
            else:
                run.done.append((captured, env.now - captured))


def lose(env: simpy.Environment, servers: list[Server], home: list[int], loss: Loss) -> Events:
    """Lose the first server, then spread its cameras over the others."""
    yield env.timeout(loss.at_s)
    servers[0].lost = True
    yield env.timeout(loss.moved_s)
    orphans = [camera for camera, server in enumerate(home) if server == 0]
    for number, camera in enumerate(orphans):
        if len(servers) > 1:
            home[camera] = 1 + number % (len(servers) - 1)


def frame_costs(total_ms: dict[str, float], worst_ms: float, rng: np.random.Generator) -> Draw:
    """Draw seconds from measured percentiles, linear between them; below the p50 a frame costs the p50."""
    levels = (50, 90, 95, 99)
    ms = [total_ms[f"p{level}"] for level in levels]
    pool = np.interp(rng.uniform(size=100_000), [level / 100 for level in levels] + [1], [*ms, worst_ms])
    values = iter(())

    def draw() -> float:
        nonlocal values
        try:
            return next(values)
        except StopIteration:
            values = iter(rng.permutation(pool / 1e3).tolist())
            return next(values)

    return draw


def capacity(cost_s: Draw, gap_s: float, rng: np.random.Generator) -> int:
    """The number of cameras that one server takes within the limits on age and dropped frames."""

    def fits(cameras: int) -> bool:
        figures = Fleet(cameras, 1, lambda: gap_s, cost_s).run(CAPACITY_S, rng).figures(0, CAPACITY_S)
        return figures["p99_ms"] <= 1e3 * AGE_LIMIT_S and figures["dropped"] <= DROPPED_LIMIT

    cameras = 0
    while fits(cameras + 1):
        cameras += 1
    return cameras
