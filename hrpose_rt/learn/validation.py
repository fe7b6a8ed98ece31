"""How good a network is on people whose joints are known, while it trains."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from hrpose_rt.geometry import crop_frames, heatmap_to_frame, oks
from hrpose_rt.learn.batches import CropDataset, Pictures, load, plan
from hrpose_rt.learn.people import People
from hrpose_rt.learn.precision import autocast, normalised
from hrpose_rt.learn.recipes import Recipe
from hrpose_rt.learn.settings import Stage
from hrpose_rt.pose.heatmaps import DECODERS
from hrpose_rt.pose.targets import TARGET_DECODERS
from hrpose_rt.types import F32

PCK_SHARE = 0.2  # of the torso, left shoulder to right hip
_BATCH = 64
_FLAT_SIGMA = 0.0725  # the mean of COCO's, for skeletons that have none


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures of one network on one set of people.

    Attributes:
        oks: Mean object keypoint similarity, 0..1.
        pck: Share of joints within a fifth of the torso's length of where they are, 0..1.
        joints: That share for every joint (K,), NaN where none is labelled.
        loss: Mean squared error of the heatmaps, halved, as in training.
        keypoints, scores: (N, K, 2) frame pixels and (N, K).
    """

    oks: float
    pck: float
    joints: F32
    loss: float
    keypoints: F32
    scores: F32


def validate(
    net: nn.Module, people: People, recipe: Recipe, stage: Stage, precision: str, pictures: Pictures
) -> Validation:
    """Estimate everybody's pose with `net`, in evaluation mode and without flip test, and compare."""
    device = next(net.parameters()).device
    dataset = CropDataset(people, recipe, stage, 0, pictures, augment=False)
    decode = DECODERS[TARGET_DECODERS[recipe.targets]]
    n, k = people.labelled.shape
    keypoints, scores, losses = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32), []
    centres, sizes = crop_frames(people.boxes, stage.input_hw)
    udp = recipe.targets == "udp"
    training = net.training
    net.eval()
    for batch in load(dataset, plan(np.arange(n), 0, _BATCH), workers=0, pinned=False):
        with torch.inference_mode(), autocast(device, precision):
            heatmaps = net(normalised(batch["crops"].to(device))).float()
        losses.append(
            heatmap_loss(heatmaps, batch["targets"].to(device), batch["weights"].to(device)).item()
        )
        rows = batch["rows"].numpy()
        points, scores[rows] = decode(heatmaps.cpu().numpy())
        keypoints[rows] = heatmap_to_frame(points, centres[rows], sizes[rows], stage.heatmap_hw, udp)
    net.train(training)
    sigmas = np.array(people.skeleton.sigmas or (_FLAT_SIGMA,) * k, np.float32)
    known = people.labelled.any(axis=1)
    similar = oks(keypoints, people.joints, people.labelled, people.areas, sigmas)[known]
    pck, joints = torso_pck(keypoints, people)
    return Validation(float(similar.mean()), pck, joints, float(np.mean(losses)), keypoints, scores)


def heatmap_loss(heatmaps: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Half the mean squared error of maps (B, K, h, w), every joint weighted by `weights` (B, K)."""
    squared: torch.Tensor = ((heatmaps - targets) ** 2).mean(dim=(2, 3)) * weights
    return squared.mean() / 2


def torso_pck(keypoints: F32, people: People) -> tuple[float, F32]:
    """Share of labelled joints within `PCK_SHARE` of the torso, in all and for each joint (K,).

    People whose left shoulder or right hip is not labelled have no torso and do not count.
    """
    names = people.skeleton.joints
    a, b = names.index("left_shoulder"), names.index("right_hip")
    torso = np.linalg.norm(people.joints[:, a] - people.joints[:, b], axis=1)
    counted = people.labelled & (people.labelled[:, a] & people.labelled[:, b] & (torso > 0))[:, None]
    far = np.linalg.norm(keypoints - people.joints, axis=2)
    hits = counted & (far <= PCK_SHARE * torso[:, None])
    with np.errstate(invalid="ignore"):
        joints = (hits.sum(axis=0) / counted.sum(axis=0)).astype(np.float32)
    return float(hits.sum() / max(counted.sum(), 1)), joints
