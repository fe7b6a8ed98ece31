"""Fit the log odds by which people are told to be the same, in crowds composed of cut-out people.

    python benchmarks/odds.py FOLDER [SCENES]

FOLDER holds photos of many different people, SCENES (32 if not given) are composed. Prints the weights of
`hrpose_rt/tracking/association.py` and `hrpose_rt/tracking/reid.py`; what chance is enough is for people to
choose. Every fourth scene is of other people and held out, to tell what the weights are worth elsewhere.
They are fitted to what the present ones lead to, so another run moves them, but hardly what comes of them.
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
from hrpose_rt.tracking import association as tracking
from hrpose_rt.tracking import reid as memory
from hrpose_rt.tracking.person_tracker import Crowd
from hrpose_rt.tracking.tracks import People
from hrpose_rt.types import F32, F64, I64, NO_ID, Bools, Detections

PEOPLE, FRAMES, LOOK_EVERY = (20, 30, 50), 250, 2
FIRST_SEED = 1000  # scenes that no benchmark composes
SHOWN_IOU, CLEARER = 0.5, 0.15  # a box shows whom it fits, if nobody else fits nearly as well
HOLD_OUT = 4


@dataclass
class Samples:
    """Pairs, what speaks for them, and whether they were the same."""

    evidence: list[F32] = field(default_factory=list)  # (E,) each
    same: list[bool] = field(default_factory=list)

    def add(self, evidence: F32, same: bool) -> None:
        self.evidence.append(evidence)
        self.same.append(same)


class NotingTracker(tracking.FlowTracker):
    """Keeps what spoke for every pair of the last look."""

    def update(self, detections: Detections, looks: F32, time_s: float, people: People) -> I64:
        self.boxes, self.tracks = detections.boxes, people.track
        self.pairs = tracking.evidence(detections.boxes, looks, people)
        self.numbers = super().update(detections, looks, time_s, people)
        return self.numbers


class NotingMemory(memory.Memory):
    """Keeps what spoke for every newcomer being somebody lost, and their boxes."""

    asked: tuple[F32, list[int], F32, Bools] | None = None

    def back(self, boxes: F32, shapes: F32, looks: F32, watched_s: F64, time_s: float) -> I64:
        self._fade(time_s)
        if len(self) and len(boxes):
            against, possible = memory.evidence(self._lost, boxes, looks, time_s)
            alike = memory.postures(shapes, self._lost, possible)
            self.asked = boxes, [person.id for person in self._lost], np.stack([*against, alike]), possible
        return super().back(boxes, shapes, looks, watched_s, time_s)


def shown(boxes: F32, truth: Truth) -> I64:
    """The person (N,) whom each box shows; -1 if that is not clear."""
    fits = np.pad(iou(boxes, truth.boxes) * (truth.visible >= PRESENT), ((0, 0), (2, 0)))
    best, second = np.sort(fits, axis=1)[:, :-3:-1].T
    return np.where((best >= SHOWN_IOU) & (second < best - CLEARER), fits.argmax(axis=1) - 2, -1)


def watch(scene: Scene, networks: Networks) -> tuple[Samples, Samples]:
    """Follow a scene; pairs that the tracker had to tell, and those that the memory had to."""
    tracker, remembered = NotingTracker(FPS, 0.0), NotingMemory(Settings().memory_s)
    crowd = Crowd(tracker, networks.skeleton, remembered)
    pairs, back = Samples(), Samples()
    # Whom each track showed when that was clear: places are often taken while it is not.
    tracked: dict[int, int] = {}
    carriers: dict[int, int] = {}  # whom each id showed last
    for i in range(FRAMES):
        frame, truth = scene.frame_and_truth(i)
        crowd.advance(frame.image, frame.time_s)
        if i % LOOK_EVERY:
            crowd.undetected()
            continue
        crowd.detected(networks.detector.detect(frame.image, StageClock()), frame.image)
        whom = shown(tracker.boxes, truth)
        for detection, person, evidence in zip(*tracker.pairs[:2], tracker.pairs[2].T, strict=True):
            was, now = tracked.get(int(tracker.tracks[person]), -1), int(whom[detection])
            if was >= 0 and now >= 0:
                pairs.add(evidence, was == now)
        clear = whom >= 0
        tracked |= dict(zip(tracker.numbers[clear].tolist(), whom[clear].tolist(), strict=True))
        everybody = np.arange(len(crowd))
        crowd.posed(everybody, networks.estimator.estimate(frame.image, crowd.boxes, StageClock()))
        remembered.asked = None
        crowd.identify()
        if remembered.asked:
            boxes, ids, evidence, possible = remembered.asked
            newcomers = shown(boxes, truth)
            for newcomer, lost in zip(*np.nonzero(possible), strict=True):
                if newcomers[newcomer] >= 0 and ids[lost] in carriers:
                    same = carriers[ids[lost]] == newcomers[newcomer]
                    back.add(evidence[:, newcomer, lost], bool(same))
        crowd.part_doubles()
        whom = shown(crowd.boxes, truth)
        clear = (crowd.ids != NO_ID) & (whom >= 0)
        carriers |= dict(zip(crowd.ids[clear].tolist(), whom[clear].tolist(), strict=True))
    return pairs, back


def fit(name: str, samples: list[Samples]) -> None:
    """Print the logistic regression (weights, then what is always added) of all but the scenes held out."""

    def of(scenes: list[Samples]) -> tuple[F64, F64]:
        evidence = np.stack([row for scene in scenes for row in scene.evidence]).astype(np.float64)
        return np.c_[evidence, np.ones(len(evidence))], np.concatenate([scene.same for scene in scenes])

    def loss(weights: F64, evidence: F64, same: F64) -> tuple[float, F64]:
        odds = evidence @ weights
        off = 1 / (1 + np.exp(-odds)) - same
        return float(np.mean(np.logaddexp(0, odds) - same * odds)), evidence.T @ off / len(same)

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
    fit("tracking W_OVERLAP, W_UNLIKE, ALWAYS", [pairs for pairs, _ in watched])
    fit("memory W_AWAY, W_UNLIKE, W_POSTURE, ALWAYS", [back for _, back in watched])


if __name__ == "__main__":
    main()
