"""Who is looked for and posed, when a frame may only take so long. No clock is needed."""

import numpy as np
import pytest

from hrpose_rt.budget import Costs, Scheduler
from hrpose_rt.tracking.reid import Memory
from tests.tracking.test_person_tracker import IMAGE, crowd, follow, picture, poses_in, walkers


def costs() -> Costs:
    return Costs(detect=8.0, batches={8: 12.0, 4: 7.0, 2: 4.0, 1: 2.5}, rest=1.0)


def test_costs_add_up_as_the_batch_plan_does() -> None:
    assert costs().crops(0) == 0
    assert costs().crops(21) == 12 + 12 + 7 + 2.5
    assert costs().fitting(100.0, 5) == 5
    assert costs().fitting(20.0, 50) == 12  # 8 and 4: 19 ms
    assert costs().fitting(2.0, 50) == 0


def test_costs_are_learnt() -> None:
    known = costs()
    for _ in range(60):
        known.learn_crops(8, 24.0)  # everything takes twice as long now
        known.learn("detect", 20.0)
    assert known.crops(8) == pytest.approx(24, rel=0.01)
    assert known.crops(4) == pytest.approx(14, rel=0.01)
    assert known.detect == pytest.approx(20, rel=0.01)
    known.learn_crops(0, 5.0)  # nobody was posed


def test_without_a_budget_everybody_is_posed_and_looked_for() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 1, 0.0, 10, costs())
    follow(people, range(3))
    assert all(scheduler.look(IMAGE, people) for _ in range(5))
    assert scheduler.whom(people, 100.0).tolist() == [0, 1, 2]


def test_newcomers_are_looked_for_within_a_fifth_of_a_second() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 0, 0.0, 10, costs())
    follow(people, range(3))
    looks = [scheduler.look(IMAGE, people) for _ in range(12)]
    assert looks[0] and scheduler.max_gap == 5
    gaps = np.diff(np.flatnonzero(looks))
    assert gaps.max() <= 5


def test_under_a_budget_people_are_looked_for_as_often_as_a_share_of_it_pays_for() -> None:
    def gap(detect_ms: float, every: int = 0) -> int:
        return Scheduler(25.0, every, 40.0, 10, Costs(detect=detect_ms)).max_gap

    assert [gap(ms) for ms in (3.0, 12.0, 13.0, 24.0, 500.0)] == [1, 1, 2, 2, 5]
    assert gap(500.0, every=3) == 3  # as was asked for
    assert Scheduler(25.0, 0, 0.0, 10, Costs(detect=3.0)).max_gap == 5  # seldom, without a budget


def test_another_scene_is_looked_at_at_once() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 0, 0.0, 10, costs())
    follow(people, range(3))
    scheduler.look(IMAGE, people)
    assert not scheduler.look(IMAGE, people)
    assert scheduler.look(np.zeros_like(IMAGE), people)


@pytest.mark.parametrize("every", [0, 1, 10])
def test_nobody_is_carried_on_into_another_scene(every) -> None:
    people, scheduler = crowd(), Scheduler(25.0, every, 0.0, 10, costs())
    people.memory = Memory(0.0)  # it may know somebody again: no part of this
    follow(people, range(3))
    people.identify()
    scheduler.look(picture(0.08), people)
    people.advance(picture(0.12), 0.12)
    scheduler.look(picture(0.12), people)
    assert people.ids.tolist() == [0, 1, 2]  # the scene goes on
    other = picture(0.16) // 4
    people.advance(other, 0.16)
    assert scheduler.look(other, people) and len(people) == 0
    for t in (0.16, 0.2):  # where the three were, others are now
        people.advance(picture(t) // 4, t)
        people.detected(walkers(t), picture(t) // 4)
        if t == 0.16:
            people.posed(np.arange(3), poses_in(people.boxes))
            found = people.poses().keypoints
            np.testing.assert_allclose(found, poses_in(people.boxes).keypoints, atol=1e-3)  # unfiltered
    people.identify()
    assert not {0, 1, 2} & set(people.ids.tolist())


def test_newcomers_come_first_then_those_waiting_longest() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 1, 15.0, 10, costs())
    for i in range(4):
        people.advance(IMAGE, i / 25)
        people.detected(walkers(0.0, 6), IMAGE)
        if i < 3:
            people.posed(np.arange(4 if i else 2), poses_in(people.boxes[: 4 if i else 2]))
    # Rows 0 to 3 have a pose, 4 and 5 none; What 6 of 15 ms leave holds four people.
    rows = scheduler.whom(people, 6.0)
    assert rows.tolist() == [0, 1, 4, 5]


def test_nobody_waits_for_longer_than_the_oldest_may_while_the_budget_holds() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 1, 16.0, 4, costs())
    oldest = 0
    for i in range(40):
        people.advance(IMAGE, i / 25)
        people.detected(walkers(0.0, 8), IMAGE)
        rows = scheduler.whom(people, 6.0)
        assert 1 <= len(rows) < 8
        people.posed(rows, poses_in(people.boxes[rows]))
        if i > 8:
            oldest = max(oldest, int(people.age.max()))
    assert oldest <= 4 and scheduler.too_old == 0


def test_a_budget_that_cannot_hold_it_says_so_and_still_brings_somebody_on() -> None:
    people, scheduler = crowd(), Scheduler(25.0, 0, 3.0, 2, costs())
    follow(people, range(3), n=6)
    posed = set()
    for i in range(3, 16):
        scheduler.look(IMAGE, people)
        people.advance(IMAGE, i / 25)
        people.detected(walkers(0.0, 6), IMAGE)
        rows = scheduler.whom(people, 5.0)
        assert len(rows) <= 1
        people.posed(rows, poses_in(people.boxes[rows]))
        posed |= set(rows.tolist())
    assert scheduler.too_old > 0
    assert len(posed) == 6  # in turn
