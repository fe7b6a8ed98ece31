"""Time of a network per batch, for several runtimes and precisions side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.types import U8

MIN_ROUNDS = 5
TURNS = 3  # batches of one candidate before the next one's turn
SETTLE_S = 0.02  # seconds for the previous candidate's threads to stop busy-waiting


@dataclass(frozen=True, slots=True)
class RuntimeCandidate:
    """A network opened in one runtime and precision.

    Attributes:
        runtime: The opened network.
        input_hw: Height and width of its input.
        flops: Operations per image.
        peak: Operations per second that the runtime reaches in this precision; 0 if unknown.
    """

    runtime: Runtime
    input_hw: tuple[int, int]
    flops: float
    peak: float


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """Times of one candidate at one batch size.

    Attributes:
        runtime, precision, device: The candidate.
        batch: Images per batch.
        rounds: Number of measurements.
        p50_ms, p95_ms: Percentiles of a whole batch.
        a_second: Images per second at the median.
        peak_share: Share of the peak in this precision, in 0..1; 0 if the peak is unknown.
    """

    runtime: str
    precision: str
    device: str
    batch: int
    rounds: int
    p50_ms: float
    p95_ms: float
    a_second: float
    peak_share: float


def time_engines(
    candidates: Sequence[RuntimeCandidate],
    batches: Sequence[int],
    seconds: float,
    progress: Callable[[str], None] = lambda step: None,
) -> list[EngineTiming]:
    """Measure each candidate at each batch size, in turn, so that other load affects all of them alike.

    Args:
        candidates: The opened networks.
        batches: Batch sizes.
        seconds: Time per batch size, for all candidates together.
        progress: Called with the current step.
    """
    rng = np.random.default_rng(0)
    cells = []
    for batch in batches:
        progress(f"batch {batch}")
        images = [_noise(rng, batch, candidate.input_hw) for candidate in candidates]
        times: list[list[float]] = [[] for _ in candidates]
        for candidate, image in zip(candidates, images, strict=True):
            for _ in range(2):
                candidate.runtime.infer(image)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds or len(times[0]) < MIN_ROUNDS:
            for candidate, image, elapsed_ms in zip(candidates, images, times, strict=True):
                time.sleep(SETTLE_S)
                candidate.runtime.infer(image)
                for _ in range(TURNS):
                    start = time.perf_counter()
                    candidate.runtime.infer(image)
                    elapsed_ms.append(time.perf_counter() - start)
        cells += [_timing(c, batch, elapsed_ms) for c, elapsed_ms in zip(candidates, times, strict=True)]
    return cells


def _noise(rng: np.random.Generator, batch: int, input_hw: tuple[int, int]) -> U8:
    return rng.integers(0, 256, (batch, *input_hw, 3), np.uint8)


def _timing(candidate: RuntimeCandidate, batch: int, times: list[float]) -> EngineTiming:
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    runtime = candidate.runtime
    share = batch * candidate.flops / p50 / candidate.peak if candidate.peak else 0.0
    return EngineTiming(
        runtime=runtime.name,
        precision=runtime.precision,
        device=runtime.device,
        batch=batch,
        rounds=len(times),
        p50_ms=round(1e3 * p50, 3),
        p95_ms=round(1e3 * p95, 3),
        a_second=round(batch / p50, 1),
        peak_share=round(share, 3),
    )


def to_dict(cells: Sequence[EngineTiming]) -> list[dict[str, object]]:
    """Timings as plain values."""
    return [asdict(cell) for cell in cells]
