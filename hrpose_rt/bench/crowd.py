"""Latency of a frame by the number of people in it, measured in alternating blocks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hrpose_rt.bench.scenes import Truth
from hrpose_rt.config import Settings
from hrpose_rt.geometry import iou
from hrpose_rt.hardware import peak_memory_mib
from hrpose_rt.networks import Networks
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.pose.batching import BatchPlan, plan_of
from hrpose_rt.result import FrameResult
from hrpose_rt.session import Session
from hrpose_rt.timing import TotalClock
from hrpose_rt.types import F32, STAGES, Frame, SourceInfo, StageTimes

BLOCK = 10  # frames of one cell before the next cell's turn
MIN_BLOCK = 2  # frames of a block when time is short
WARM_UP_SHARE = 0.3  # largest share of the time before the first round
UNTIMED_EVERY = 3  # every Nth round also runs its frames without stage clocks
STABLE = 0.05  # a cell is warm when its median changes by less than this from block to block
MAX_WARM_UP_BLOCKS = 4
MAX_STAGE_GAP = 0.05  # largest difference between the sum of the stages and the untimed run, as a share
CROWD_MATCH_IOU = 0.5
START = 35  # the first frame; soon after it the people of a composed crowd come out from behind an occluder


class BenchSource(Protocol):
    """Frames of a crowd, in any order."""

    info: SourceInfo
    people: int

    def frame_and_truth(self, index: int) -> tuple[Frame, Truth | None]:
        """Frame `index`, captured now, and its ground truth if that is known."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured frame.

    Attributes:
        round: Number of the round in which it was measured.
        present: People in view; -1 if unknown.
        detected, correct: Detected boxes, and the number of them that match a person.
        returned: People who came back into view on this frame.
        times: Stage times.
        age_ms: Milliseconds from the frame in memory to its result.
        untimed_ms: Milliseconds of the same frame without stage clocks; NaN if not measured.
    """

    round: int
    present: int
    detected: int
    correct: int
    returned: int
    times: StageTimes
    age_ms: float
    untimed_ms: float = float("nan")


@dataclass(slots=True)
class CrowdTiming:
    """One variant measured on one crowd.

    Attributes:
        variant, source: The variant's name and the crowd.
        samples: In the order of the source's frames.
        memory_mib: Peak memory of the process after the last block; None if the system does not say.
        plan: How its crowds are cut into batches.
    """

    variant: str
    source: BenchSource
    samples: list[Sample] = field(default_factory=list)
    memory_mib: float | None = None
    plan: BatchPlan = field(default_factory=BatchPlan)


class Variant:
    """Networks and settings to measure, with stage clocks and without."""

    def __init__(self, name: str, settings: Settings, networks: Networks) -> None:
        self.name, self.networks = name, networks
        self.timed = PosePipeline(settings, networks)
        self.plain = PosePipeline(settings, networks, clock=TotalClock)


class _Running:
    """A cell while it is measured: its next frame and the sessions with their trackers."""

    def __init__(self, variant: Variant, source: BenchSource) -> None:
        self.cell = CrowdTiming(variant.name, source, plan=plan_of(variant.networks.estimator))
        self._variant, self._source, self._next = variant, source, START
        self._timed, self._plain = variant.timed.begin(source.info), variant.plain.begin(source.info)

    def warm_up(self, until: float) -> float:
        """Run blocks until their median is stable or until `until`; returns the seconds of one block."""
        medians: list[float] = []
        block_s = 0.0
        for _ in range(MAX_WARM_UP_BLOCKS):
            begin, times = time.perf_counter(), []
            for i in range(BLOCK):
                times.append(self._timed_run(self._source.frame_and_truth(i)[0])[0].times.total)
                late = time.perf_counter() > until
                if late and len(times) >= MIN_BLOCK:
                    break
            block_s = (time.perf_counter() - begin) / len(times) * BLOCK
            medians.append(float(np.median(times)))
            if late or (len(medians) > 1 and abs(medians[-1] / medians[-2] - 1) < STABLE):
                break
        info = self._source.info
        self._timed, self._plain = self._variant.timed.begin(info), self._variant.plain.begin(info)
        return block_s

    def block(self, number: int, frames: int) -> None:
        frames_and_truths = [self._source.frame_and_truth(self._next + i) for i in range(frames)]
        self._next += frames
        untimed = [float("nan")] * frames
        with_plain = number % UNTIMED_EVERY == 0
        if with_plain and number % (2 * UNTIMED_EVERY):  # untimed first, every other time
            untimed = [self._untimed_run(frame) for frame, _ in frames_and_truths]
        results = [self._timed_run(frame) for frame, _ in frames_and_truths]
        if with_plain and not number % (2 * UNTIMED_EVERY):
            untimed = [self._untimed_run(frame) for frame, _ in frames_and_truths]
        self.cell.samples += [
            _sample(number, result, truth, age_ms, plain_ms)
            for (result, age_ms), (_, truth), plain_ms in zip(
                results, frames_and_truths, untimed, strict=True
            )
        ]
        self.cell.memory_mib = peak_memory_mib()

    def _timed_run(self, frame: Frame) -> tuple[FrameResult, float]:
        return _run(self._timed, frame)

    def _untimed_run(self, frame: Frame) -> float:
        return _run(self._plain, frame)[1]


def measure(
    variants: Sequence[Variant],
    sources: Sequence[BenchSource],
    rounds: int,
    seconds: float,
    progress: Callable[[str], None] = lambda step: None,
) -> list[CrowdTiming]:
    """Measure each variant on each crowd, one block of frames at a time, in turn.

    Args:
        variants, sources: The variants, and the crowds to measure them on.
        rounds: Blocks per cell.
        seconds: Time limit. A round that would exceed it does not begin. If not even one round fits, blocks
            are shorter.
        progress: Called with the current step.
    """
    begin = time.perf_counter()
    cells = [_Running(variant, source) for source in sources for variant in variants]
    round_s = 0.0
    for cell in cells:
        progress(f"warming up, {cell.cell.source.info.name}")
        round_s += 2 * cell.warm_up(begin + WARM_UP_SHARE * seconds)  # round 0 also runs without clocks
    left = begin + seconds - time.perf_counter()
    frames = BLOCK if round_s <= left else max(MIN_BLOCK, int(BLOCK * left / round_s))
    for number in range(rounds):
        round_begin = time.perf_counter()
        if number and round_begin + round_s > begin + seconds:
            break
        for cell in cells:
            progress(f"round {number + 1} of {rounds}, {cell.cell.source.info.name}")
            cell.block(number, frames)
        round_s = time.perf_counter() - round_begin
    return [cell.cell for cell in cells]


def check_untimed(cells: Sequence[CrowdTiming]) -> tuple[dict[str, float], str]:
    """The sum of the stages of each variant, divided by the untimed run of the same frames.

    Returns:
        The ratio of each variant, and the reason to refuse the report: a ratio differs from 1 by more than
        `MAX_STAGE_GAP`, so the stages would not tell the cost of a frame. Empty if all are within it.
    """
    shares: dict[str, float] = {}
    refused = ""
    for variant in dict.fromkeys(cell.variant for cell in cells):
        both = [
            s
            for cell in cells
            if cell.variant == variant
            for s in cell.samples
            if s.untimed_ms == s.untimed_ms
        ]
        staged = sum(getattr(s.times, name) for s in both for name in STAGES if name != "other")
        shares[variant] = round(staged / sum(s.untimed_ms for s in both), 4)
        if abs(shares[variant] - 1) > MAX_STAGE_GAP:
            refused = (
                f"the stages of {variant} add up to {shares[variant]:.3f} of the same frames run without "
                f"clocks, more than {MAX_STAGE_GAP:.0%} off: keep the machine quiet and try again"
            )
    return shares, refused


def _run(session: Session, frame: Frame) -> tuple[FrameResult, float]:
    begin = time.perf_counter()
    result = session.process(frame)
    return result, 1e3 * (time.perf_counter() - begin)


def _sample(
    number: int, result: FrameResult, truth: Truth | None, age_ms: float, plain_ms: float
) -> Sample:
    present, correct, returned = -1, 0, 0
    if truth:
        people = truth.present
        present, returned = len(people), int(truth.returned.sum())
        correct = matches(result.detections.boxes, truth.boxes[people])
    return Sample(number, present, len(result), correct, returned, result.times, age_ms, plain_ms)


def matches(boxes: F32, people: F32) -> int:
    """Number of boxes (N, 4), best first, that match a person (M, 4); each person matches one box."""
    overlap = iou(boxes, people)
    correct = 0
    for row in range(len(boxes)):
        if overlap.shape[1] and overlap[row].max() >= CROWD_MATCH_IOU:
            overlap[:, overlap[row].argmax()] = 0
            correct += 1
    return correct
