"""Re-identification: a person who returns gets the old track id back."""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.geometry import centres
from hrpose_rt.tracking.appearance import appearance_distance
from hrpose_rt.types import F32, F64, I64, NO_ID, Bools

# Logistic regression on `reid_features`: the log-odds that a new track is a lost one. Fitted by
# `benchmarks/fit_association.py` to 30,000 pairs from composed scenes. 1 in 15 pairs is of the same person.
# No real video was used. A third feature, the similarity of poses, did not lower the loss.
REID_W_DISTANCE, REID_W_APPEARANCE, REID_INTERCEPT = -2.60, -4.73, -10.94
# Log-odds added: where a track was lost, most new people are not strangers. In composed scenes, 94% of the
# people who come back get their id again with it, and 88% without it.
REID_PRIOR = 1.5
REID_PROB_AT_ONCE = 0.95  # probability that gives the old id back immediately
REID_PROB_AFTER_WAIT = 0.85  # probability that gives it back after `REID_WAIT_S`
REID_WAIT_S = 0.6
NEW_PERSON_PROB = 0.05  # below this probability of being any lost track, a new track is a new person
UNDECIDED = -2  # instead of an id: later frames decide
VELOCITY_DECAY_S = 2.0  # time constant with which a hidden person's velocity decays
GATE_HEIGHTS = 1.0  # body heights from the expected place within which a person may return
MAX_SPEED_HEIGHTS_S = 3.0  # body heights added to the gate per second of absence
MIN_HEIGHT_RATIO = 0.4  # between the box heights before and after
DISTANCE_EPS = 0.1  # a negligible offset of a person, in body heights
GATED_LOG_ODDS = -50.0  # of impossible pairs


@dataclass(frozen=True, slots=True)
class LostTrack:
    """A track without a current box.

    Attributes:
        track_id: The id to give back.
        box, velocity: (4,) and (2,) at the last detection, pixels and pixels per second.
        appearance: (D,) see `appearance.colour_histograms`.
        last_seen_s: Time of the last detection.
    """

    track_id: int
    box: F32
    velocity: F32
    appearance: F32
    last_seen_s: float


class LostTracks:
    """The lost tracks of one stream, kept for `memory_s` seconds.

    Args:
        memory_s: Seconds to keep a track; 0 keeps none.
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._tracks: list[LostTrack] = []

    def __len__(self) -> int:
        return len(self._tracks)

    def add(self, tracks: list[LostTrack]) -> None:
        """Keep tracks that were lost in this frame."""
        if self._memory_s > 0:
            self._tracks += tracks

    def clear(self) -> None:
        """Drop all tracks, because another video begins."""
        self._tracks = []

    def reidentify(self, boxes: F32, appearance: F32, visible_s: F64, time_s: float) -> I64:
        """Old ids (N,) of new tracks, `NO_ID` for a new person, `UNDECIDED` where later frames decide.

        A re-identified track is no longer lost, so no id is given twice.

        Args:
            boxes, appearance: (N, ...) of the new tracks, as in `LostTrack`.
            visible_s: (N,) seconds since their first detection.
            time_s: Time of the frame.
        """
        self._expire(time_s)
        ids = np.full(len(boxes), NO_ID, np.int64)
        if not self._tracks or not len(boxes):
            return ids
        odds = np.exp(_log_odds(self._tracks, boxes, appearance, time_s) + REID_PRIOR)
        # A new track is a lost one or a new person. A lost track is a new one or still absent.
        prob_of_new = odds / (1 + odds.sum(axis=1, keepdims=True))
        prob_of_lost = odds / (1 + odds.sum(axis=0, keepdims=True))
        probability = np.minimum(prob_of_new, prob_of_lost)
        waited = visible_s >= REID_WAIT_S
        threshold = np.where(waited, REID_PROB_AFTER_WAIT, REID_PROB_AT_ONCE)
        # Rows and columns sum to less than 1, so at most one pair of each exceeds a threshold above .5.
        new, lost = np.nonzero(probability >= threshold[:, None])
        ids[(prob_of_new.sum(axis=1) > NEW_PERSON_PROB) & ~waited] = UNDECIDED
        ids[new] = [self._tracks[i].track_id for i in lost]
        matched = set(lost.tolist())
        self._tracks = [track for i, track in enumerate(self._tracks) if i not in matched]
        return ids

    def _expire(self, time_s: float) -> None:
        self._tracks = [track for track in self._tracks if time_s - track.last_seen_s <= self._memory_s]


def reid_features(lost: list[LostTrack], boxes: F32, appearance: F32, time_s: float) -> tuple[F32, Bools]:
    """Features (2, N, M) of new tracks (N) against lost ones (M), and which pairs (N, M) are possible.

    The features are the logarithm of the distance from the expected place in body heights, and the
    `appearance_distance`.
    """
    lost_boxes = np.stack([track.box for track in lost])
    absent_s = np.array([time_s - track.last_seen_s for track in lost], np.float32)
    velocity = np.stack([track.velocity for track in lost])
    moving_s = VELOCITY_DECAY_S * (1 - np.exp(-absent_s / VELOCITY_DECAY_S))  # people stop and turn
    expected = centres(lost_boxes) + velocity * moving_s[:, None]
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    lost_heights = np.maximum(lost_boxes[:, 3] - lost_boxes[:, 1], 1)
    distance = np.linalg.norm(centres(boxes)[:, None] - expected[None], axis=2) / lost_heights
    ratio = heights[:, None] / lost_heights
    possible = distance <= GATE_HEIGHTS + MAX_SPEED_HEIGHTS_S * absent_s
    possible &= (ratio >= MIN_HEIGHT_RATIO) & (ratio <= 1 / MIN_HEIGHT_RATIO)
    looks_apart = appearance_distance(appearance @ np.stack([track.appearance for track in lost]).T)
    return np.stack([np.log(distance + DISTANCE_EPS), looks_apart]).astype(np.float32), possible


def _log_odds(lost: list[LostTrack], boxes: F32, appearance: F32, time_s: float) -> F32:
    """Log-odds (N, M) that each new track is each lost one, before the prior."""
    features, possible = reid_features(lost, boxes, appearance, time_s)
    log_odds = REID_INTERCEPT + REID_W_DISTANCE * features[0] + REID_W_APPEARANCE * features[1]
    log_odds[~possible] = GATED_LOG_ODDS
    return np.asarray(log_odds.clip(GATED_LOG_ODDS, -GATED_LOG_ODDS), np.float32)
