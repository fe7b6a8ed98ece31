"""The batch plan."""

import pytest

from hrpose_rt.pose.batching import CPU_BATCHES, BatchPlan, plan_of
from tests.fakes import FakeEstimator

PADS = BatchPlan((1, 2, 4, 8), pads=True)


def sizes_of(plan: BatchPlan, people: int) -> list[int]:
    return [rows.stop - rows.start for rows in plan.split(people)]


@pytest.mark.parametrize(
    ("people", "sizes"),
    [(0, []), (1, [1]), (3, [2, 1]), (7, [4, 2, 1]), (8, [8]), (13, [8, 4, 1]), (50, [8] * 6 + [2])],
)
def test_batch_plan_splits_crowd_into_few_sizes_without_padding(people: int, sizes: list[int]) -> None:
    assert sizes_of(BatchPlan(), people) == sizes


@pytest.mark.parametrize(
    ("people", "sizes", "padded"),
    [(0, [], []), (3, [3], [4]), (8, [8], [8]), (13, [8, 5], [8, 8]), (17, [8, 8, 1], [8, 8, 1])],
)
def test_padding_plan_has_only_full_batches_and_a_rest(people: int, sizes, padded) -> None:
    assert sizes_of(PADS, people) == sizes
    assert [PADS.size_for(size) for size in sizes] == padded


@pytest.mark.parametrize("people", range(40))
@pytest.mark.parametrize("plan", [BatchPlan(), PADS], ids=["exact", "padding"])
def test_batch_plan_covers_every_person_once_in_order(people: int, plan: BatchPlan) -> None:
    assert [i for rows in plan.split(people) for i in range(rows.start, rows.stop)] == list(range(people))
    assert plan.pads or set(sizes_of(plan, people)) <= set(CPU_BATCHES)


def test_batch_plan_up_to_drops_larger_sizes() -> None:
    assert BatchPlan().up_to(5).sizes == (1, 2, 4)
    assert PADS.up_to(0) == PADS and PADS.up_to(3).pads


def test_estimator_of_others_gets_plan_of_cpu() -> None:
    assert plan_of(FakeEstimator()) == BatchPlan()
