"""Who is looked for and posed, when a frame may only take so long. No clock is needed."""

import numpy as np
import pytest

from hrpose_rt.budget import FrameBudget, LatencyModel
from hrpose_rt.pose.batching import BatchPlan
from hrpose_rt.tracking.reid import LostTracks
from tests.tracking.test_person_tracker import IMAGE, frame_at, person_tracker, poses_in, track, walkers


def latency() -> LatencyModel:
    return LatencyModel(detect_ms=8.0, batch_ms={8: 12.0, 4: 7.0, 2: 4.0, 1: 2.5}, other_ms=1.0)


def test_latency_model_pose_cost_follows_batch_sizes() -> None:
    assert latency().pose_ms(0) == 0
    assert latency().pose_ms(21) == 12 + 12 + 7 + 2.5
    assert latency().max_crops(100.0, 5) == 5
    assert latency().max_crops(20.0, 50) == 12  # 8 and 4: 19 ms
    assert latency().max_crops(2.0, 50) == 0


def test_latency_model_of_gpu_pads_the_last_batch() -> None:
    known = LatencyModel(
        batch_ms={1: 5.0, 8: 6.0, 16: 7.0, 64: 14.0}, plan=BatchPlan((1, 8, 16, 64), pads=True)
    )
    assert [known.pose_ms(n) for n in (0, 1, 9, 64, 70)] == [0, 5, 7, 14, 20]
    assert known.max_crops(100.0, 200) == 200
    assert known.max_crops(32.9, 200) == 64 + 64  # one more takes 5 ms
    assert known.max_crops(34.0, 200) == 64 + 64 + 8
    assert known.max_crops(34.0, 130) == 130
    assert known.max_crops(7.5, 20) == 16
    assert known.max_crops(6.5, 3) == 3
    assert known.max_crops(4.0, 3) == 0


def test_latency_model_learns_pose_and_detection_cost() -> None:
    known = latency()
    for _ in range(60):
        known.update_pose(8, 24.0)  # everything takes twice as long now
        known.update_detect(20.0)
    assert known.pose_ms(8) == pytest.approx(24, rel=0.01)
    assert known.pose_ms(4) == pytest.approx(14, rel=0.01)
    assert known.detect_ms == pytest.approx(20, rel=0.01)
    known.update_pose(0, 5.0)  # nobody was posed


def test_budget_of_zero_detects_every_frame_and_poses_all_people() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 1, 0.0, 10, latency())
    track(tracker, range(3))
    assert all(budget.should_detect(IMAGE, tracker) for _ in range(5))
    assert budget.rows_to_pose(tracker, 100.0).tolist() == [0, 1, 2]


def test_budget_auto_detects_at_least_every_200_ms() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 0, 0.0, 10, latency())
    track(tracker, range(3))
    looks = [budget.should_detect(IMAGE, tracker) for _ in range(12)]
    assert looks[0] and budget.max_gap == 5
    gaps = np.diff(np.flatnonzero(looks))
    assert gaps.max() <= 5


def test_budget_share_sets_detection_gap() -> None:
    def gap(detect_ms: float, every: int = 0) -> int:
        return FrameBudget(25.0, every, 40.0, 10, LatencyModel(detect_ms=detect_ms)).max_gap

    assert [gap(ms) for ms in (3.0, 12.0, 13.0, 24.0, 500.0)] == [1, 1, 2, 2, 5]
    assert gap(500.0, every=3) == 3  # as was asked for
    assert (
        FrameBudget(25.0, 0, 0.0, 10, LatencyModel(detect_ms=3.0)).max_gap == 5
    )  # seldom, without a budget


def test_budget_scene_cut_triggers_detection() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 0, 0.0, 10, latency())
    track(tracker, range(3))
    budget.should_detect(IMAGE, tracker)
    assert not budget.should_detect(IMAGE, tracker)
    assert budget.should_detect(np.zeros_like(IMAGE), tracker)


@pytest.mark.parametrize("every", [0, 1, 10])
def test_budget_scene_cut_drops_all_tracks(every) -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, every, 0.0, 10, latency())
    tracker.lost = LostTracks(0.0)  # it may know somebody again: no part of this
    track(tracker, range(3))
    budget.should_detect(frame_at(0.08), tracker)
    tracker.predict(frame_at(0.12), 0.12)
    budget.should_detect(frame_at(0.12), tracker)
    assert tracker.track_ids.tolist() == [0, 1, 2]  # the scene goes on
    other = frame_at(0.16) // 4
    tracker.predict(other, 0.16)
    assert budget.should_detect(other, tracker) and len(tracker) == 0
    for t in (0.16, 0.2):  # where the three were, others are now
        tracker.predict(frame_at(t) // 4, t)
        tracker.update(walkers(t))
        people = tracker.finish(np.arange(3), poses_in(tracker.boxes))
        if t == 0.16:
            expected = poses_in(tracker.boxes).keypoints
            np.testing.assert_allclose(people.poses.keypoints, expected, atol=1e-3)  # unfiltered
    assert not {0, 1, 2} & set(tracker.track_ids.tolist())


def test_budget_poses_new_people_first_then_oldest_poses() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 1, 15.0, 10, latency())
    for i in range(4):
        tracker.predict(IMAGE, i / 25)
        tracker.update(walkers(0.0, 6))
        if i < 3:
            tracker.finish(np.arange(4 if i else 2), poses_in(tracker.boxes[: 4 if i else 2]))
    # Rows 0 to 3 have a pose, 4 and 5 none; What 6 of 15 ms leave holds four people.
    rows = budget.rows_to_pose(tracker, 6.0)
    assert rows.tolist() == [0, 1, 4, 5]


def test_budget_keeps_pose_age_within_maximum() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 1, 16.0, 4, latency())
    oldest = 0
    for i in range(40):
        tracker.predict(IMAGE, i / 25)
        tracker.update(walkers(0.0, 8))
        rows = budget.rows_to_pose(tracker, 6.0)
        assert 1 <= len(rows) < 8
        tracker.finish(rows, poses_in(tracker.boxes[rows]))
        if i > 8:
            oldest = max(oldest, int(tracker.pose_age.max()))
    assert oldest <= 4 and budget.stale_pose_frames == 0


def test_budget_too_small_counts_stale_frames_and_poses_in_turn() -> None:
    tracker, budget = person_tracker(), FrameBudget(25.0, 0, 3.0, 2, latency())
    track(tracker, range(3), n=6)
    posed = set()
    for i in range(3, 16):
        budget.should_detect(IMAGE, tracker)
        tracker.predict(IMAGE, i / 25)
        tracker.update(walkers(0.0, 6))
        rows = budget.rows_to_pose(tracker, 5.0)
        assert len(rows) <= 1
        tracker.finish(rows, poses_in(tracker.boxes[rows]))
        posed |= set(rows.tolist())
    assert budget.stale_pose_frames > 0
    assert len(posed) == 6  # in turn
