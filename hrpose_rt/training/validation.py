"""Accuracy of a network on people with known joints, during training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hrpose_rt.evaluation.annotations import AnnotatedPeople
from hrpose_rt.geometry import boxes_to_centre_size, heatmap_to_frame, oks, oks_nms, xyxy_to_xywh
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS
from hrpose_rt.pose.targets import TARGET_DECODERS
from hrpose_rt.result import person_score
from hrpose_rt.training.amp import autocast, normalized
from hrpose_rt.training.config import Stage
from hrpose_rt.training.dataset import CropDataset, ImageCache, load, plan
from hrpose_rt.training.recipes import Recipe
from hrpose_rt.types import F32

PCK_SHARE = 0.2  # share of the torso, left shoulder to right hip
PCKH_SHARE = 0.5  # share of the head, from the neck to its top
METRIC_NAMES = {"oks": "OKS", "ap": "AP", "pckh": "PCKh@0.5"}
_DUPLICATE_OKS = 0.9  # OKS above which only the better of two poses stays, as in the original's evaluation
_BATCH = 64
_FLAT_SIGMA = 0.0725  # the mean of COCO's, for skeletons without sigmas


@dataclass(frozen=True, slots=True)
class Validation:
    """Metrics of one network on one set of people.

    Attributes:
        oks: Mean object keypoint similarity, 0..1.
        selection_score: The recipe's `select` metric, which compares epochs, 0..1.
        pck: Share of joints within a fifth of the torso's length of the truth, 0..1.
        joint_pck: The same share for every joint (K,), NaN without labels.
        loss: Half the mean squared error of the heatmaps, as in training.
        keypoints, scores: (N, K, 2) frame pixels and (N, K).
    """

    oks: float
    selection_score: float
    pck: float
    joint_pck: F32
    loss: float
    keypoints: F32
    scores: F32


def validate(
    net: nn.Module,
    people: AnnotatedPeople,
    recipe: Recipe,
    stage: Stage,
    precision: str,
    images: ImageCache,
) -> Validation:
    """Estimate all poses with `net`, in evaluation mode and without flip test, and compare them."""
    device = next(net.parameters()).device
    dataset = CropDataset(people, recipe, stage, seed=None, images=images)
    decode = HEATMAP_DECODERS[TARGET_DECODERS[recipe.targets]]
    n, k = people.labelled.shape
    keypoints, scores, losses = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32), []
    centres, sizes = boxes_to_centre_size(people.boxes, stage.input_hw)
    udp = recipe.targets == "udp"
    training = net.training
    net.eval()
    for batch in load(dataset, plan(np.arange(n), 0, _BATCH), workers=0, pinned=False):
        with torch.inference_mode(), autocast(device, precision):
            heatmaps = net(normalized(batch["crops"].to(device))).float()
        losses.append(
            heatmap_loss(heatmaps, batch["targets"].to(device), batch["weights"].to(device)).item()
        )
        rows = batch["rows"].numpy()
        heatmap_keypoints, scores[rows] = decode(heatmaps.cpu().numpy())
        keypoints[rows] = heatmap_to_frame(
            heatmap_keypoints, centres[rows], sizes[rows], stage.heatmap_hw, udp
        )
    net.train(training)
    sigmas = np.array(people.skeleton.sigmas or (_FLAT_SIGMA,) * k, np.float32)
    has_labels = people.labelled.any(axis=1)
    person_oks = oks(keypoints, people.joints, people.labelled, people.areas, sigmas)[has_labels]
    mean_oks = float(person_oks.mean())
    selection_score = {
        "oks": lambda: mean_oks,
        "ap": lambda: average_precision(keypoints, scores, people, sizes),
        "pckh": lambda: head_pck(keypoints, people),
    }[recipe.select]()
    pck, joint_pck = torso_pck(keypoints, people)
    return Validation(
        oks=mean_oks,
        selection_score=selection_score,
        pck=pck,
        joint_pck=joint_pck,
        loss=float(np.mean(losses)),
        keypoints=keypoints,
        scores=scores,
    )


def heatmap_loss(heatmaps: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Half the mean squared error of maps (B, K, h, w), every joint weighted by `weights` (B, K)."""
    squared: torch.Tensor = ((heatmaps - targets) ** 2).mean(dim=(2, 3)) * weights
    return squared.mean() / 2


def average_precision(keypoints: F32, scores: F32, people: AnnotatedPeople, sizes: F32) -> float:
    """COCO's AP of poses (N, K, 2) with scores (N, K), estimated in the annotated boxes of N people.

    Scores and OKS-NMS are as in the original's evaluation, where every box has the score 1.

    Args:
        sizes: (N, 2) of the crops; OKS-NMS uses their area.
    """
    from hrpose_rt.evaluation import coco

    names = people.skeleton.joints
    person = {"id": 1, "name": "person", "keypoints": list(names)}
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [person]}
    person_scores, results = person_score(np.ones(len(people), np.float32), scores), []
    sigmas = np.array(people.skeleton.sigmas, np.float32)
    boxes = xyxy_to_xywh(people.boxes)
    for image in np.unique(people.image_rows).tolist():
        truth["images"].append({"id": image})
        rows = np.flatnonzero(people.image_rows == image)
        for row in rows.tolist():
            joints = np.column_stack([people.joints[row], 2 * people.labelled[row]])
            annotation = {
                "id": row + 1,
                "image_id": image,
                "category_id": 1,
                "area": float(people.areas[row]),
                "iscrowd": 0,
                "bbox": boxes[row].tolist(),
                "keypoints": joints.ravel().tolist(),
                "num_keypoints": int(people.labelled[row].sum()),
            }
            truth["annotations"].append(annotation)
        areas = sizes[rows].prod(axis=1)
        for row in rows[
            oks_nms(keypoints[rows], person_scores[rows], areas, sigmas, _DUPLICATE_OKS)
        ].tolist():
            keypoints_scores = np.column_stack([keypoints[row], scores[row]]).astype(np.float64)
            pose = {"keypoints": keypoints_scores.ravel().tolist(), "score": float(person_scores[row])}
            results.append({"image_id": image, "category_id": 1, **pose})
    metrics = coco.score(coco.indexed(truth), results, "keypoints", people.skeleton.sigmas).metrics
    return float(metrics[0])


def head_pck(keypoints: F32, people: AnnotatedPeople) -> float:
    """MPII's PCKh@0.5; a head's length is from the neck to its top, since the JSON has no head boxes."""
    return _within(keypoints, people, ("neck", "head"), PCKH_SHARE, left_out=("pelvis", "thorax"))[0]


def torso_pck(keypoints: F32, people: AnnotatedPeople) -> tuple[float, F32]:
    """Share of labelled joints within `PCK_SHARE` of the torso, overall and for each joint (K,).

    People without a labelled left shoulder or right hip do not count.
    """
    return _within(keypoints, people, ("left_shoulder", "right_hip"), PCK_SHARE)


def _within(
    keypoints: F32,
    people: AnnotatedPeople,
    ends: tuple[str, str],
    share: float,
    left_out: tuple[str, ...] = (),
) -> tuple[float, F32]:
    """Share of labelled joints within `share` of the distance between `ends`, overall and per joint."""
    names = people.skeleton.joints
    a, b = map(names.index, ends)
    length = np.linalg.norm(people.joints[:, a] - people.joints[:, b], axis=1)
    counted = people.labelled & (people.labelled[:, a] & people.labelled[:, b] & (length > 0))[:, None]
    counted &= ~np.isin(names, left_out)
    distances = np.linalg.norm(keypoints - people.joints, axis=2)
    hits = counted & (distances <= share * length[:, None])
    with np.errstate(invalid="ignore"):
        by_joint = (hits.sum(axis=0) / counted.sum(axis=0)).astype(np.float32)
    return float(hits.sum() / max(counted.sum(), 1)), by_joint
