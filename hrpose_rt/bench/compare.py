"""Other programs measured beside this one: same frames, same boxes, one after the other."""

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

SETTLE_S = 0.05  # seconds for the previous candidate's threads to stop busy-waiting
WARM_UP_FRAMES = 1  # frames that are run first and not counted


@dataclass(frozen=True, slots=True)
class BenchFrame:
    """A frame and the boxes of its people, the same for all candidates."""

    image: U8
    boxes: F32


class Baseline:
    """A program of `benchmarks/baselines/`, which runs until it is closed.

    Args:
        program: File name of the program.
        arguments: Arguments of the program.
        folder: The folder through which frames are passed to it.

    Raises:
        BadInput: The package does not run from a checkout.
        RunBroken: The program does not start; the message quotes the last line of its output.
    """

    def __init__(self, program: str, arguments: Sequence[str], folder: Path) -> None:
        path = models_folder().parent / "benchmarks" / "baselines" / program
        if not path.is_file():
            raise BadInput(f"{program} is not installed with the package: run this in a checkout")
        self._frame = folder / f"{path.stem}.npy"
        with ExitStack() as opened:
            # The log takes all output of the program and its libraries; answers have a separate pipe.
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
                    # Unbuffered output keeps the log in order: its last line is the error that ended it.
                    env={**os.environ, "HRPOSE_ANSWERS": str(theirs), "PYTHONUNBUFFERED": "1"},
                )
            finally:
                os.close(theirs)  # the pipe then ends when the program ends
            opened.callback(self._end)
            self.name: str = self._answer()["ready"]
            self._opened = opened.pop_all()

    def __call__(self, frame: BenchFrame) -> float:
        """Milliseconds that the program took for a frame.

        Raises:
            RunBroken: The program ended; the message quotes the last line of its output.
        """
        np.save(self._frame, frame.image)
        request = {"image": str(self._frame), "boxes": frame.boxes.tolist()}
        assert self._process.stdin
        with suppress(BrokenPipeError):  # without a reader there is no answer either: `_answer` raises
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return float(self._answer()["ms"])

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            self._process.wait()  # the log is complete after this
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
    """A measured program: its name, and a function that takes a frame and returns its milliseconds."""

    name: str
    work: Callable[[BenchFrame], float]
    ms: list[float] = field(default_factory=list)


def compare(
    candidates: Sequence[Candidate],
    frames: Sequence[BenchFrame],
    rounds: int,
    progress: Callable[[str], None] = lambda step: None,
) -> None:
    """Measure all candidates in turn, on one frame per round."""
    for number in range(-WARM_UP_FRAMES, rounds):
        frame = frames[number % len(frames)]
        for candidate in candidates:
            progress(f"round {max(number, 0) + 1} of {rounds}, {candidate.name}")
            time.sleep(SETTLE_S)
            ms = candidate.work(frame)
            if number >= 0:
                candidate.ms.append(ms)


def ratios(ours: Sequence[Candidate], theirs: Sequence[Candidate]) -> list[dict[str, Any]]:
    """How many times as long each of `theirs` took as each of `ours`, with 95% intervals."""
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
