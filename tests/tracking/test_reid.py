"""People who come back: their place and their clothes."""

import numpy as np
import pytest

from hrpose_rt.tracking.appearance import appearance_distance, colour_histograms
from hrpose_rt.tracking.reid import (
    DISTANCE_EPS,
    REID_INTERCEPT,
    REID_PRIOR,
    REID_PROB_AFTER_WAIT,
    REID_PROB_AT_ONCE,
    REID_W_APPEARANCE,
    REID_W_DISTANCE,
    UNDECIDED,
    LostTrack,
    LostTracks,
    _log_odds,
)

BOX = np.array([100, 100, 140, 200], np.float32)
STILL = np.zeros(2, np.float32)


def photo(*colours: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """People in one colour each, side by side, and their boxes."""
    image = np.full((300, 100 * len(colours) + 40, 3), 128, np.uint8)
    boxes = []
    for i, colour in enumerate(colours):
        image[100:200, 100 * i : 100 * i + 40] = colour
        boxes.append([100 * i, 100, 100 * i + 40, 200])
    return image, np.array(boxes, np.float32)


RED, BLUE, DARK_RED = (30, 30, 220), (220, 60, 30), (29, 29, 214)
HISTOGRAMS = colour_histograms(*photo(RED, BLUE, DARK_RED))


def lost(id: int, colour: int, box=BOX, time_s: float = 0.0, velocity=STILL) -> LostTrack:
    return LostTrack(id, box, velocity, HISTOGRAMS[colour], time_s)


def reidentify(
    tracks: LostTracks, boxes: list[np.ndarray], colours: list[int], time_s: float, visible_s: float = 0.04
) -> list[int]:
    visible = np.full(len(boxes), visible_s)
    return tracks.reidentify(np.stack(boxes), HISTOGRAMS[colours], visible, time_s).tolist()


def test_reid_colour_histograms_separate_colours_and_tolerate_light() -> None:
    assert np.allclose(np.linalg.norm(HISTOGRAMS, axis=1), 1, atol=1e-5)
    assert HISTOGRAMS[0] @ HISTOGRAMS[2] > 0.9 > HISTOGRAMS[0] @ HISTOGRAMS[1] + 0.2
    assert len(colour_histograms(photo(RED)[0], np.zeros((0, 4), np.float32))) == 0


def test_reid_returns_old_id_once() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0), lost(8, 1)])
    assert reidentify(tracks, [BOX + 5], [2], 0.5) == [7]
    assert len(tracks) == 1  # an id is given once
    assert reidentify(tracks, [BOX + 5], [0], 0.6) != [7]


def test_reid_separates_two_returning_people_by_appearance() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0), lost(8, 1, BOX + np.float32([30, 0, 30, 0]))])
    assert reidentify(tracks, [BOX + np.float32([30, 0, 30, 0]), BOX], [0, 1], 0.3) == [7, 8]


def test_reid_extrapolates_velocity_of_lost_track() -> None:
    tracks = LostTracks(2.0)
    walking = np.array([200, 0], np.float32)
    tracks.add([lost(7, 0, velocity=walking)])
    assert reidentify(tracks, [BOX + np.float32([80, 0, 80, 0])], [0], 0.5) == [7]


def test_reid_gives_new_id_to_distant_or_differently_sized_person() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0)])
    assert reidentify(tracks, [BOX + 900], [0], 0.3) == [-1]
    assert reidentify(tracks, [np.array([100, 100, 110, 125], np.float32)], [0], 0.3) == [-1]


def test_reid_ambiguous_match_waits_then_gives_new_id() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0), lost(8, 0, BOX + 4)])
    assert reidentify(tracks, [BOX + 2], [0], 0.3) == [UNDECIDED]  # either of two in the same clothes
    assert reidentify(tracks, [BOX + 2], [0], 0.9, visible_s=0.6) == [
        -1
    ]  # a new id rather than a wrong one


def test_reid_likely_match_returns_old_id_after_wait() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0)])
    aside = BOX + np.float32([210, 0, 210, 0])  # 2.1 body heights away
    odds = _log_odds(tracks._tracks, aside[None], HISTOGRAMS[:1], 0.5) + REID_PRIOR
    assert REID_PROB_AFTER_WAIT < 1 / (1 + np.exp(-odds[0, 0])) < REID_PROB_AT_ONCE
    assert reidentify(tracks, [aside], [0], 0.5, visible_s=0.5) == [UNDECIDED]
    assert reidentify(tracks, [aside], [0], 0.5, visible_s=0.6) == [7]


def test_reid_appearance_distance_has_lower_bound() -> None:
    assert np.exp(appearance_distance(np.float32([0.5, 0.98, 1.0]))) == pytest.approx(
        [0.53, 0.05, 0.05], abs=1e-6
    )


def test_reid_log_odds_match_formula() -> None:
    seen = _log_odds([lost(7, 0)], BOX[None] + np.float32([8, 0, 8, 0]), HISTOGRAMS[:1], 0.3)
    near = REID_W_DISTANCE * np.log(0.08 + DISTANCE_EPS) + REID_W_APPEARANCE * np.log(
        0.05
    )  # 8 of 100 pixels away, dressed the same
    assert seen[0, 0] == pytest.approx(REID_INTERCEPT + near, abs=1e-3)


def test_reid_forgets_lost_tracks_after_memory() -> None:
    tracks = LostTracks(2.0)
    tracks.add([lost(7, 0)])
    assert reidentify(tracks, [BOX], [0], 2.5) == [-1]
    assert len(tracks) == 0
    nothing = LostTracks(0.0)
    nothing.add([lost(7, 0)])
    assert len(nothing) == 0
