"""What others do, measured in the same minutes: same frames, same boxes, all in turn."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hrpose_rt.bench.stats import ratio_interval
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.paths import models_folder
from hrpose_rt.types import F32, U8

SETTLE_S = 0.05  # until the threads of the one before no longer wait busily
WARM_UP_FRAMES = 1  # frames before the first that counts


@dataclass(frozen=True, slots=True)
class BenchFrame:
    """A frame and the people in it, the same for everybody."""

    image: U8
    boxes: F32


class Baseline:
    """A program of `benchmarks/baselines/`, which runs until it is closed.

    Args:
        program: Its file name there.
        arguments: Its own.
        folder: Where frames are handed over.

    Raises:
        BadInput: This is no checkout.
        RunBroken: It does not start; the message has its last words.
    """

    def __init__(self, program: str, arguments: Sequence[str], folder: Path) -> None:
        path = models_folder().parent / "benchmarks" / "baselines" / program
        if not path.is_file():
            raise BadInput(f"{program} is not installed with the package: run this in a checkout")
        self._frame = folder / f"{path.stem}.npy"
        with ExitStack() as opened:
            # What it and its libraries print; answers come by a pipe of their own.
            self._log = opened.enter_context((folder / f"{path.stem}.log").open("w+"))
            answers, theirs = os.pipe()
            self._answers = opened.enter_context(open(answers))
            try:
                self._process = subprocess.Popen(
                    [sys.executable, str(path), *arguments],
                    stdin=subprocess.PIPE,
                    stdout=self._log,
                    stderr=self._log,
                    text=True,
                    pass_fds=[theirs],
                    # Unbuffered, so that the log is in order and its end is what it died of.
                    env={**os.environ, "HRPOSE_ANSWERS": str(theirs), "PYTHONUNBUFFERED": "1"},
                )
            finally:
                os.close(theirs)  # so that its end is the end of the answers
            opened.callback(self._end)
            self.name: str = self._answer()["ready"]
            self._opened = opened.pop_all()

    def __call__(self, frame: BenchFrame) -> float:
        """Milliseconds that it took for a frame.

        Raises:
            RunBroken: It ended instead; the message has its last words.
        """
        np.save(self._frame, frame.image)
        asked = {"image": str(self._frame), "boxes": frame.boxes.tolist()}
        assert self._process.stdin
        with suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        return float(self._answer()["ms"])

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            self._process.wait()  # its last words are written by then
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:] or ["it says not why"]
            raise RunBroken(f"a baseline ended: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the program."""
        self._opened.close()


@dataclass(slots=True)
class Candidate:
    """Somebody measured: a name and what takes a frame and says how many milliseconds it took."""

    name: str
    work: Callable[[BenchFrame], float]
    ms: list[float] = field(default_factory=list)


def compare(
    candidates: Sequence[Candidate],
    frames: Sequence[BenchFrame],
    rounds: int,
    progress: Callable[[str], None] = lambda step: None,
) -> None:
    """Measure everybody on a frame a round, in turn."""
    for number in range(-WARM_UP_FRAMES, rounds):
        frame = frames[number % len(frames)]
        for candidate in candidates:
            progress(f"round {max(number, 0) + 1} of {rounds}, {candidate.name}")
            time.sleep(SETTLE_S)
            ms = candidate.work(frame)
            if number >= 0:
                candidate.ms.append(ms)


def ratios(ours: Sequence[Candidate], theirs: Sequence[Candidate]) -> list[dict[str, Any]]:
    """How many times as long each of theirs took as each of ours, and where 95% of that lies."""
    pairs = []
    for them in theirs:
        for us in ours:
            ratio, low, high = ratio_interval(us.ms, them.ms)
            pairs.append(
                {
                    "ours": us.name,
                    "theirs": them.name,
                    "ours_ms": round(float(np.median(us.ms)), 2),
                    "theirs_ms": round(float(np.median(them.ms)), 2),
                    "ratio": round(ratio, 3),
                    "95%": [round(low, 3), round(high, 3)],
                }
            )
    return pairs
