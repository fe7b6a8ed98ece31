"""Accuracy of a pose network by person and by joint."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hrpose_rt.evaluation.coco import Result
from hrpose_rt.geometry import oks_terms, xywh_to_xyxy
from hrpose_rt.types import F32, Bools

MIN_OKS_TERM = 0.5  # a joint with at least this OKS term counts as correct


@dataclass(frozen=True, slots=True)
class MatchedPerson:
    """An annotated person and the pose estimated for it.

    Attributes:
        box: (4,) xyxy annotated box.
        joints, labelled: (K, 2) annotated joints and whether each is labelled (K,).
        keypoints, scores: (K, 2) estimated, NaN without a prediction, and (K,).
    """

    box: F32
    joints: F32
    labelled: Bools
    keypoints: F32
    scores: F32


@dataclass(frozen=True, slots=True)
class MatchedPeople:
    """N annotated people with labelled joints, each with the most similar prediction.

    Attributes:
        image_ids: (N,) ids of their images.
        boxes: (N, 4) xyxy annotated boxes.
        joints, labelled: (N, K, 2) and (N, K).
        keypoints: (N, K, 2); NaN for people whose image has no prediction.
        scores: (N, K) of the keypoints.
        oks_terms: (N, K) in 0..1, 0 where there is no prediction.
    """

    image_ids: list[int]
    boxes: F32
    joints: F32
    labelled: Bools
    keypoints: F32
    scores: F32
    oks_terms: F32

    def person(self, row: int) -> MatchedPerson:
        """Person `row`."""
        return MatchedPerson(
            box=self.boxes[row],
            joints=self.joints[row],
            labelled=self.labelled[row],
            keypoints=self.keypoints[row],
            scores=self.scores[row],
        )

    def oks(self) -> F32:
        """(N,) OKS of each person's pose, in 0..1."""
        total = (self.oks_terms * self.labelled).sum(axis=1)
        return np.asarray(total / self.labelled.sum(axis=1), np.float32)


def pair(annotations: Any, results: list[Result], sigmas: tuple[float, ...]) -> MatchedPeople:
    """Pair every annotated person with the prediction in the same image that has the highest OKS."""
    by_image: dict[int, list[Result]] = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)
    spread = np.array(sigmas, np.float32)
    k = len(sigmas)
    persons = annotations.loadAnns(annotations.getAnnIds(iscrowd=False))
    persons = [p for p in persons if p["num_keypoints"] > 0]
    truth = np.array([p["keypoints"] for p in persons], np.float32).reshape(-1, k, 3)
    labelled = truth[..., 2] > 0
    keypoints = np.full((len(persons), k, 3), np.nan, np.float32)
    best_terms = np.zeros((len(persons), k), np.float32)
    for i, person in enumerate(persons):
        own_results = by_image.get(person["image_id"])
        if not own_results:
            continue
        predicted = np.array([r["keypoints"] for r in own_results], np.float32).reshape(-1, k, 3)
        area = np.full(len(own_results), person["area"], np.float32)
        terms = oks_terms(predicted[..., :2], truth[i, :, :2], area, spread)
        best = (terms * labelled[i]).sum(axis=1).argmax()
        keypoints[i], best_terms[i] = predicted[best], terms[best]
    xywh = np.array([p["bbox"] for p in persons], np.float32).reshape(-1, 4)
    return MatchedPeople(
        image_ids=[p["image_id"] for p in persons],
        boxes=xywh_to_xyxy(xywh),
        joints=truth[..., :2],
        labelled=labelled,
        keypoints=keypoints[..., :2],
        scores=keypoints[..., 2],
        oks_terms=best_terms,
    )


def joint_metrics(people: MatchedPeople) -> tuple[list[int], list[float], list[float]]:
    """For each joint: number of labels, mean OKS term and share correct (NaN without labels)."""
    counts = people.labelled.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = (people.oks_terms * people.labelled).sum(axis=0) / counts
        correct = ((people.oks_terms >= MIN_OKS_TERM) & people.labelled).sum(axis=0) / counts
    return counts.tolist(), mean.tolist(), correct.tolist()
