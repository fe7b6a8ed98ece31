"""Fit the log-odds of association and re-identification on crowds composed of cut-out people.

    python benchmarks/fit_association.py FOLDER [SCENES]

FOLDER holds photos of many different people; SCENES scenes (default 32) are composed. Prints the weights of
`hrpose_rt/tracking/association.py` and `hrpose_rt/tracking/reid.py`; thresholds are chosen by hand. Every
fourth scene has other people and is held out, to show how well the weights generalize. The samples depend
on the current weights, so another run changes them a little.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import track
from scipy.optimize import minimize

from hrpose_rt.bench.cutouts import cut_out
from hrpose_rt.bench.scenes import FPS, PRESENT, Scene, Truth
from hrpose_rt.config import Settings
from hrpose_rt.export.examples import packaged_or
from hrpose_rt.geometry import iou
from hrpose_rt.networks import Networks, open_networks
from hrpose_rt.timing import StageClock
from hrpose_rt.tracking import association, reid
from hrpose_rt.tracking.person_tracker import PersonTracker
from hrpose_rt.tracking.tracks import Tracks
from hrpose_rt.types import F32, F64, I64, NO_ID, Bools, Detections

PEOPLE, FRAMES, DETECT_EVERY = (20, 30, 50), 250, 2
FIRST_SEED = 1000  # seed of the first scene; no benchmark uses scenes from here on
SHOWN_IOU, MIN_IOU_GAP = 0.5, 0.15  # lowest IoU of a box with its person; lowest lead over the next person
HOLD_OUT = 4


@dataclass
class Samples:
    """Pairs of detections or tracks: their features, and whether they are the same person."""

    features: list[F32] = field(default_factory=list)  # (F,) each
    same: list[bool] = field(default_factory=list)

    def add(self, features: F32, same: bool) -> None:
        self.features.append(features)
        self.same.append(same)


class RecordingAssociator(association.FlowAssociator):
    """Records the features of every pair of the last detection."""

    def match(self, detections: Detections, appearance: F32, time_s: float, tracks: Tracks) -> I64:
        self.boxes, self.track_numbers = detections.boxes, tracks.track_number
        self.pairs = association.match_features(detections.boxes, appearance, tracks)
        self.numbers = super().match(detections, appearance, time_s, tracks)
        return self.numbers


class RecordingLostTracks(reid.LostTracks):
    """Records the features of every new track with every lost one, and the boxes of the new ones."""

    asked: tuple[F32, list[int], F32, Bools] | None = None

    def reidentify(self, boxes: F32, appearance: F32, visible_s: F64, time_s: float) -> I64:
        self._expire(time_s)
        if len(self) and len(boxes):
            features, possible = reid.reid_features(self._tracks, boxes, appearance, time_s)
            ids = [track.track_id for track in self._tracks]
            self.asked = boxes, ids, features, possible
        return super().reidentify(boxes, appearance, visible_s, time_s)


def shown(boxes: F32, truth: Truth) -> I64:
    """The person (N,) in each box; -1 if that is ambiguous."""
    fits = np.pad(iou(boxes, truth.boxes) * (truth.visible >= PRESENT), ((0, 0), (2, 0)))
    best, second = np.sort(fits, axis=1)[:, :-3:-1].T
    return np.where((best >= SHOWN_IOU) & (second < best - MIN_IOU_GAP), fits.argmax(axis=1) - 2, -1)


def watch(scene: Scene, networks: Networks) -> tuple[Samples, Samples]:
    """Track a scene; returns samples of association and of re-identification."""
    associator, lost = RecordingAssociator(FPS, 0.0), RecordingLostTracks(Settings().memory_s)
    tracker = PersonTracker(associator, networks.skeleton, lost)
    matches, returns = Samples(), Samples()
    # The person of each track at the last unambiguous frame.
    person_of_track: dict[int, int] = {}
    person_of_id: dict[int, int] = {}
    for i in range(FRAMES):
        frame, truth = scene.frame_and_truth(i)
        tracker.predict(frame.image, frame.time_s)
        if i % DETECT_EVERY:
            tracker.update(None)
            continue
        tracker.update(networks.detector.detect(frame.image, StageClock()))
        persons = shown(associator.boxes, truth)
        for detection, row, features in zip(*associator.pairs[:2], associator.pairs[2].T, strict=True):
            before = person_of_track.get(int(associator.track_numbers[row]), -1)
            now = int(persons[detection])
            if before >= 0 and now >= 0:
                matches.add(features, before == now)
        clear = persons >= 0
        numbers = associator.numbers[clear].tolist()
        person_of_track |= dict(zip(numbers, persons[clear].tolist(), strict=True))
        lost.asked = None
        poses = networks.estimator.estimate(frame.image, tracker.boxes, StageClock())
        tracker.finish(np.arange(len(tracker)), poses)
        if lost.asked:
            boxes, ids, features, possible = lost.asked
            persons = shown(boxes, truth)
            for new, old in zip(*np.nonzero(possible), strict=True):
                if persons[new] >= 0 and ids[old] in person_of_id:
                    same = person_of_id[ids[old]] == persons[new]
                    returns.add(features[:, new, old], bool(same))
        persons = shown(tracker.boxes, truth)
        clear = (tracker.track_ids != NO_ID) & (persons >= 0)
        ids = tracker.track_ids[clear].tolist()
        person_of_id |= dict(zip(ids, persons[clear].tolist(), strict=True))
    return matches, returns


def fit(name: str, samples: list[Samples]) -> None:
    """Print the logistic regression (weights, then the intercept), fitted without the held-out scenes."""

    def of(scenes: list[Samples]) -> tuple[F64, F64]:
        features = np.stack([row for scene in scenes for row in scene.features]).astype(np.float64)
        return np.c_[features, np.ones(len(features))], np.concatenate([scene.same for scene in scenes])

    def loss(weights: F64, features: F64, same: F64) -> tuple[float, F64]:
        odds = features @ weights
        off = 1 / (1 + np.exp(-odds)) - same
        return float(np.mean(np.logaddexp(0, odds) - same * odds)), features.T @ off / len(same)

    held_out = of(samples[::HOLD_OUT])
    fitted = of([scene for i, scene in enumerate(samples) if i % HOLD_OUT])
    result = minimize(loss, np.zeros(fitted[0].shape[1]), fitted, jac=True)
    if not result.success:
        raise SystemExit(f"{name} could not be fitted: {result.message}")
    print(f"{name}: {', '.join(f'{weight:.2f}' for weight in result.x)}")
    print(f"  {len(fitted[1])} pairs, {fitted[1].mean():.1%} the same; loss {result.fun:.4f}, ", end="")
    print(f"{loss(result.x, *held_out)[0]:.4f} of {len(held_out[1])} held out")


def main() -> None:
    folder, scenes = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 32
    if scenes < HOLD_OUT:
        raise SystemExit(f"of fewer than {HOLD_OUT} scenes none can be held out")
    with open_networks(Settings()) as networks:
        everybody = cut_out(packaged_or(folder), networks)
        others = everybody[::HOLD_OUT]
        people = [person for i, person in enumerate(everybody) if i % HOLD_OUT]
        watched = [
            watch(
                Scene(people if i % HOLD_OUT else others, PEOPLE[i % len(PEOPLE)], seed=FIRST_SEED + i),
                networks,
            )
            for i in track(range(scenes), f"{len(people)} people, and {len(others)} held out")
        ]
    fit("MATCH_W_IOU, MATCH_W_APPEARANCE, MATCH_INTERCEPT", [matches for matches, _ in watched])
    fit(
        "REID_W_DISTANCE, REID_W_APPEARANCE, REID_INTERCEPT",
        [returns for _, returns in watched],
    )


if __name__ == "__main__":
    main()
