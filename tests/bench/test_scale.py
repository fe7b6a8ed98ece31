"""The simulation against closed forms: M/D/1, linear speed-up, the expected time of a failing worker."""

import math

import numpy as np
import pytest

from benchmarks.scale_model import Failures, Fleet, Loss, capacity, frame_costs, run_archive
from benchmarks.workers import write_clips
from hrpose_rt.sources.open import open_source


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("workers", [1, 4, 20, 100])
def test_archive_without_failures_is_linear(workers: int, rng) -> None:
    run = run_archive([3.0] * 100, workers, None, rng)
    assert (run.took_s, run.lost_s, run.failures) == (pytest.approx(300 / workers), 0, 0)


def test_archive_needs_its_longest_part_even_with_more_workers_than_parts(rng) -> None:
    assert run_archive([1.0, 7.0, 2.0], 1000, None, rng).took_s == 7


def test_archive_of_uneven_parts_gives_the_next_part_to_the_first_free_worker(rng) -> None:
    # One worker has 4; the other has 1, 1, 1 and then the last 5.
    assert run_archive([4.0, 1.0, 1.0, 1.0, 5.0], 2, None, rng).took_s == 8


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_failing_worker_takes_the_expected_time(ratio: float, rng) -> None:
    """A part of d s takes (m + r) (exp(d / m) - 1) with failures every m s and returns after r s."""
    parts, part_s, back_s = 20_000, 10.0, 3.0
    mean_s = part_s / ratio
    run = run_archive([part_s] * parts, 1, Failures(mean_s, back_s), rng)
    expected = parts * (mean_s + back_s) * (math.exp(part_s / mean_s) - 1)
    assert run.took_s == pytest.approx(expected, rel=0.02)
    assert run.took_s == pytest.approx(parts * part_s + run.lost_s + back_s * run.failures)


def test_many_failing_workers_still_do_every_part(rng) -> None:
    run = run_archive([10.0] * 500, 50, Failures(20.0, 5.0), rng)
    assert run.failures > 100 and run.took_s > 100
    assert 50 * run.took_s > 5000 + run.lost_s + 5 * (run.failures - 50)


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_server_waits_as_a_queue_of_m_d_1(load: float, rng) -> None:
    """The mean wait of M/D/1 (Pollaczek-Khinchine) is load * d / (2 (1 - load))."""
    cost_s, cameras, seconds = 0.01, 2000, 2000.0
    gap_s = cameras * cost_s / load
    fleet = Fleet(cameras, 1, lambda: rng.exponential(gap_s), lambda: cost_s)
    run = fleet.run(seconds, rng)
    ages = np.array([age for captured, age in run.done if captured > 2 * gap_s])
    replaced = sum(when > 2 * gap_s for when in run.dropped)
    assert len(ages) > 30_000 and replaced < 0.001 * len(ages)  # nearly all frames wait for their turn
    assert ages.mean() - cost_s == pytest.approx(load * cost_s / (2 * (1 - load)), rel=0.06)


def test_overloaded_server_drops_what_it_cannot_do(rng) -> None:
    """Ten cameras of 10 frames a second on a server that does 50: half of the frames are dropped."""
    run = Fleet(10, 1, lambda: 0.1, lambda: 0.02).run(100, rng)
    assert run.figures(1, 99)["dropped"] == pytest.approx(0.5, abs=0.01)
    assert len(run.done) == pytest.approx(5000, abs=2)


def test_lost_server_misses_its_cameras_until_they_move(rng) -> None:
    """Two servers, ten cameras of 10 frames a second: five cameras miss 3 s, then one server has all."""
    run = Fleet(10, 2, lambda: 0.1, lambda: 0.005).run(20, rng, Loss(5.0, 3.0))
    assert len(run.missed) == pytest.approx(150, abs=6)
    assert run.figures(1, 4)["dropped"] == run.figures(9, 19)["dropped"] == 0
    assert min(run.missed) >= 4.99 and max(run.missed) <= 8.01
    assert len([1 for captured, _ in run.done if captured >= 9]) == pytest.approx(1100, abs=11)


def test_only_server_that_is_lost_does_nothing_more(rng) -> None:
    run = Fleet(3, 1, lambda: 0.1, lambda: 0.01).run(20, rng, Loss(5.0, 1.0))
    assert max(captured for captured, _ in run.done) < 5
    assert len(run.missed) == pytest.approx(450, abs=4)


def test_frame_costs_have_the_measured_percentiles(rng) -> None:
    measured = {"p50": 10.0, "p90": 20.0, "p95": 22.0, "p99": 30.0}
    draw = frame_costs(measured, 40.0, rng)
    ms = 1e3 * np.array([draw() for _ in range(150_000)])
    found = np.percentile(ms, (50, 90, 95, 99))
    np.testing.assert_allclose(found, list(measured.values()), rtol=0.02)
    assert ms.min() == pytest.approx(10) and 39 < ms.max() <= 40


def test_capacity_of_a_server_ends_where_its_time_ends(rng) -> None:
    # 20 ms of every 200 ms: ten cameras fill the server.
    assert 8 <= capacity(lambda: 0.02, 0.2, rng) <= 10
    assert capacity(lambda: 0.3, 0.2, rng) == 0


def test_clips_for_workers_lie_within_the_video(video, tmp_path) -> None:
    table = tmp_path / "clips.csv"
    frames = write_clips(video, 3, 0.2, table)
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    with open_source(video) as source:
        length_s = source.info.frames / source.info.fps
    assert [float(row[1]) for row in rows] == pytest.approx([0, (length_s - 0.2) / 2, length_s - 0.2])
    assert frames == round(3 * 0.2 * source.info.fps)
    with pytest.raises(SystemExit, match="give fewer --seconds"):
        write_clips(video, 3, 60, table)
