"""People who went out of sight, and who of them has come back."""

from dataclasses import dataclass

import numpy as np

from hrpose_rt.geometry import middles
from hrpose_rt.tracking.appearance import unlike
from hrpose_rt.types import F32, F64, I64, Bools

# Log odds that a newcomer is somebody lost, of `evidence` and `postures`: fitted by `benchmarks/odds.py` to
# 90,000 pairs of composed scenes, of whom one in eighteen was the same; no real film was among them.
W_AWAY, W_UNLIKE, W_POSTURE, ALWAYS = -2.37, -3.95, 0.37, -10.46
PRIOR = 1.5  # more: of those who newly appear where somebody was lost, most are no strangers
CERTAIN = 0.95  # chance, against everybody else, from which somebody is known again at once ...
LIKELY = 0.85  # ... and after having been watched for so many seconds:
WAIT_S = 0.6
HARDLY = 0.05  # chance of being anybody, below which somebody is new
MAYBE = -2
STOPPING_S = 2.0  # people hidden go on as before for about so long
NEAR, FASTEST = 1.0, 3.0  # body heights, and so many more a second: farther away it is somebody else
SIZES = 0.4  # a person's height may change to this share, or by its inverse
CLOSE, LIMB = 0.1, 0.1  # body heights that hardly count, of where somebody is and of a joint
USUAL_POSTURE = 0.2  # how alike two people's are
HOPELESS = -5.0  # log odds
IMPOSSIBLE = -50.0


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody out of sight.

    Attributes:
        id: Theirs.
        box, speed: (4,) and (2,) when last seen, pixels and pixels a second.
        shape: (K, 2) keypoints in body heights around the box's middle; NaN if never posed.
        looks: (D,) see `looks`.
        time_s: When last seen.
    """

    id: int
    box: F32
    speed: F32
    shape: F32
    looks: F32
    time_s: float


class Memory:
    """Remembers people for `seconds` and says who is back.

    Args:
        seconds: 0 remembers nobody.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lost: list[Lost] = []

    def __len__(self) -> int:
        return len(self._lost)

    def remember(self, people: list[Lost]) -> None:
        """Somebody is out of sight."""
        if self._seconds > 0:
            self._lost += people

    def forget(self) -> None:
        """Another film begins."""
        self._lost = []

    def back(self, boxes: F32, shapes: F32, looks: F32, watched_s: F64, time_s: float) -> I64:
        """Ids (N,) of those whom newcomers are; -1 for people never seen. Each is given once.

        `MAYBE` stands for somebody who may be known: a clearer sight will tell.

        Args:
            boxes, shapes, looks: (N, ...) of the newcomers, as in `Lost`.
            watched_s: (N,) seconds since they were seen first.
            time_s: Now.
        """
        self._fade(time_s)
        ids = np.full(len(boxes), -1, np.int64)
        if not self._lost or not len(boxes):
            return ids
        odds = np.exp(_log_odds(self._lost, boxes, shapes, looks, time_s) + PRIOR)
        # Of all whom the newcomer may be, and of all who the lost one may be, somebody else included.
        of_newcomer = odds / (1 + odds.sum(axis=1, keepdims=True))
        of_lost = odds / (1 + odds.sum(axis=0, keepdims=True))
        chance = np.minimum(of_newcomer, of_lost)
        patient = watched_s >= WAIT_S
        # Each row and each column adds up to less than 1: nobody can be likely twice.
        here, there = np.nonzero(chance >= np.where(patient, LIKELY, CERTAIN)[:, None])
        ids[(of_newcomer.sum(axis=1) > HARDLY) & ~patient] = MAYBE
        ids[here] = [self._lost[i].id for i in there]
        known = set(there.tolist())
        self._lost = [lost for i, lost in enumerate(self._lost) if i not in known]
        return ids

    def _fade(self, time_s: float) -> None:
        """Who has been out of sight for too long is forgotten."""
        self._lost = [lost for lost in self._lost if time_s - lost.time_s <= self._seconds]


def evidence(lost: list[Lost], boxes: F32, looks: F32, time_s: float) -> tuple[F32, Bools]:
    """What speaks against a newcomer (N) being somebody lost (M), and who may be at all (N, M).

    It is (2, N, M): how far from where they should be by now, the logarithm of body heights, and how
    `unlike` they are.
    """
    old = np.stack([person.box for person in lost])
    gap = np.array([time_s - person.time_s for person in lost], np.float32)
    speed = np.stack([person.speed for person in lost])
    going = STOPPING_S * (1 - np.exp(-gap / STOPPING_S))  # people stop and turn: not on and on
    expected = middles(old) + speed * going[:, None]
    heights, before = np.maximum(boxes[:, 3] - boxes[:, 1], 1), np.maximum(old[:, 3] - old[:, 1], 1)
    away = np.linalg.norm(middles(boxes)[:, None] - expected[None], axis=2) / before
    larger = heights[:, None] / before
    possible = (away <= NEAR + FASTEST * gap) & (larger >= SIZES) & (larger <= 1 / SIZES)
    apart = unlike(looks @ np.stack([person.looks for person in lost]).T)
    return np.stack([np.log(away + CLOSE), apart]).astype(np.float32), possible


def postures(shapes: F32, lost: list[Lost], compared: Bools) -> F32:
    """How alike (N, M) postures (N, K, 2) are to those of the lost, in 0..1, where they are compared."""
    alike = np.zeros(compared.shape, np.float32)
    here, there = np.nonzero(compared)
    apart = np.linalg.norm(shapes[here] - np.stack([person.shape for person in lost])[there], axis=2)
    alike[here, there] = np.nan_to_num(np.exp(-((apart / LIMB) ** 2)).mean(axis=1), nan=USUAL_POSTURE)
    return alike


def _log_odds(lost: list[Lost], boxes: F32, shapes: F32, looks: F32, time_s: float) -> F32:
    """How much rather each newcomer (N) is each of the lost (M) than somebody else."""
    against, possible = evidence(lost, boxes, looks, time_s)
    odds = ALWAYS + W_AWAY * against[0] + W_UNLIKE * against[1]
    odds[~possible] = IMPOSSIBLE
    odds += W_POSTURE * postures(shapes, lost, odds + PRIOR > HOPELESS)  # of a crowd, few
    return np.asarray(odds.clip(IMPOSSIBLE, -IMPOSSIBLE), np.float32)
