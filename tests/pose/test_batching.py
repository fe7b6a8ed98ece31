"""The batch plan."""

import pytest

from hrpose_rt.pose.batching import CPU_BATCHES, plan_batches


@pytest.mark.parametrize(
    ("people", "sizes"),
    [(0, []), (1, [1]), (3, [2, 1]), (7, [4, 2, 1]), (8, [8]), (13, [8, 4, 1]), (50, [8] * 6 + [2])],
)
def test_batch_plan_splits_crowd_into_few_sizes_without_padding(people: int, sizes: list[int]) -> None:
    assert [rows.stop - rows.start for rows in plan_batches(people)] == sizes


@pytest.mark.parametrize("people", range(40))
def test_batch_plan_covers_every_person_once_in_order(people: int) -> None:
    plan = plan_batches(people)
    assert [i for rows in plan for i in range(rows.start, rows.stop)] == list(range(people))
    assert {rows.stop - rows.start for rows in plan} <= set(CPU_BATCHES)
