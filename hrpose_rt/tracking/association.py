"""Association: which detection continues which track."""

import itertools
from typing import Protocol

import numpy as np

from hrpose_rt.geometry import assign, iou
from hrpose_rt.tracking.appearance import appearance_distance
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import F32, I64, NO_ID, Detections

# Logistic regression on `match_features`: the log-odds that a detection continues a track. Fitted by
# `benchmarks/fit_association.py` to 48,000 pairs from composed scenes. Four in five pairs are of the same
# person. No real video was used.
MATCH_W_IOU, MATCH_W_APPEARANCE, MATCH_INTERCEPT = 12.28, -1.16, -8.11
MATCH_MIN_LOG_ODDS = 1.0  # below it a track is lost, and may be re-identified
MATCH_MIN_IOU = 0.1  # between a detection and a propagated box; other pairs are not compared


class Associator(Protocol):
    """Matches detections to tracks."""

    def match(self, detections: Detections, appearance: F32, time_s: float, tracks: Tracks) -> I64:
        """Return a track number (N,) for each detection: of the track that it continues, or a new one.

        Args:
            detections: The N people of this frame.
            appearance: (N, D) see `appearance.colour_histograms`.
            time_s: Time of the frame.
            tracks: The tracks so far, propagated to this frame.
        """


class FlowAssociator:
    """Matches by IoU with the boxes that optical flow has propagated, and by appearance.

    A propagated box lies where the next detection will be, so no motion model is needed. When two
    people cross, the box of the one behind drifts with the one in front. Their appearance then decides.

    Args:
        fps, min_score: Not used; library trackers need them.
    """

    def __init__(self, fps: float, min_score: float) -> None:
        self._next = itertools.count()

    def match(self, detections: Detections, appearance: F32, time_s: float, tracks: Tracks) -> I64:
        """See `Associator.match`."""
        numbers = np.full(len(detections), NO_ID, np.int64)
        match_unmatched(numbers, detections.boxes, appearance, tracks)
        return number_unmatched(numbers, self._next)


def match_features(boxes: F32, appearance: F32, tracks: Tracks) -> tuple[I64, I64, F32]:
    """Pairs (P,), (P,) of detections and tracks that overlap, and features (2, P) of each pair.

    The features are the IoU and the `appearance_distance`.
    """
    overlap = iou(boxes, tracks.box)
    detection, track = np.nonzero(overlap >= MATCH_MIN_IOU)
    similarity = np.einsum("pd,pd->p", appearance[detection], tracks.appearance[track])
    return detection, track, np.stack([overlap[detection, track], appearance_distance(similarity)])


def match_unmatched(numbers: I64, boxes: F32, appearance: F32, tracks: Tracks) -> None:
    """Where `numbers` (N,) is `NO_ID`, write the number of the track that the detection continues."""
    rest = np.flatnonzero(numbers == NO_ID)
    detection, track, (overlap, looks_apart) = match_features(boxes[rest], appearance[rest], tracks)
    log_odds = MATCH_W_IOU * overlap + MATCH_W_APPEARANCE * looks_apart + MATCH_INTERCEPT
    possible = log_odds > MATCH_MIN_LOG_ODDS
    detection, track, log_odds = detection[possible], track[possible], log_odds[possible]
    if len(set(detection.tolist())) < len(detection) or len(set(track.tolist())) < len(track):
        # All other pairs are 0. A negative value would cost these their match.
        margin = np.zeros((len(rest), len(tracks.track_number)), np.float32)
        margin[detection, track] = log_odds - MATCH_MIN_LOG_ODDS
        detection, track = assign(-margin)
        matched = margin[detection, track] > 0
        detection, track = detection[matched], track[matched]
    numbers[rest[detection]] = tracks.track_number[track]


def number_unmatched(numbers: I64, unused: "itertools.count[int]") -> I64:
    """Replace every `NO_ID` in `numbers` with an unused number."""
    for i in np.flatnonzero(numbers == NO_ID):
        numbers[i] = next(unused)
    return numbers
