"""What others do, measured in the same minutes: same frames, same boxes, all in turn."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hrpose_rt.bench.stats import ratio_interval
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.zoo import models_folder
from hrpose_rt.types import F32, U8

PAUSE_S = 0.05  # until the threads of the one before no longer wait busily
WARM = 1  # frames before the first that counts


@dataclass(frozen=True, slots=True)
class Shot:
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
        self._errors = (folder / f"{path.stem}.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.name: str = self._answer()["ready"]

    def __call__(self, shot: Shot) -> float:
        """Milliseconds that it took for a frame."""
        np.save(self._frame, shot.image)
        assert self._process.stdin
        asked = {"image": str(self._frame), "boxes": shot.boxes.tolist()}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["ms"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()  # its last words are written by then
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["it says not why"]
            self.close()
            raise RunBroken(f"a baseline ended: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

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
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


@dataclass(slots=True)
class Contestant:
    """Somebody measured: a name and what takes a frame and says how many milliseconds it took."""

    name: str
    work: Callable[[Shot], float]
    ms: list[float] = field(default_factory=list)


def compare(
    contestants: Sequence[Contestant],
    shots: Sequence[Shot],
    rounds: int,
    tell: Callable[[str], None] = lambda step: None,
) -> None:
    """Measure everybody on a frame a round, in turn."""
    for number in range(-WARM, rounds):
        shot = shots[number % len(shots)]
        for contestant in contestants:
            tell(f"round {max(number, 0) + 1} of {rounds}, {contestant.name}")
            time.sleep(PAUSE_S)
            ms = contestant.work(shot)
            if number >= 0:
                contestant.ms.append(ms)


def ratios(ours: Sequence[Contestant], theirs: Sequence[Contestant]) -> list[dict[str, Any]]:
    """How many times as long each of theirs took as each of ours, and where 95% of that lies."""
    found = []
    for them in theirs:
        for us in ours:
            ratio, low, high = ratio_interval(us.ms, them.ms)
            found.append(
                {
                    "ours": us.name,
                    "theirs": them.name,
                    "ours_ms": round(float(np.median(us.ms)), 2),
                    "theirs_ms": round(float(np.median(them.ms)), 2),
                    "ratio": round(ratio, 3),
                    "95%": [round(low, 3), round(high, 3)],
                }
            )
    return found
