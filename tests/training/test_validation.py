"""The metrics of validation, against values computed by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hrpose_rt.evaluation.annotations import load_people
from hrpose_rt.training.amp import normalized
from hrpose_rt.training.config import Stage
from hrpose_rt.training.dataset import ImageCache
from hrpose_rt.training.recipes import MODERN
from hrpose_rt.training.validation import average_precision, head_pck, heatmap_loss, torso_pck, validate
from tests.training.people_set import write_mpii, write_set


def test_heatmap_loss_is_half_weighted_mean_square_error() -> None:
    heatmaps, targets = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    heatmaps[0, 1] = 2.0  # squared: 4
    heatmaps[1, 2] = 100.0
    weights = torch.tensor([[1.0, 0.5, 1.0], [1.0, 1.0, 0.0]])
    assert heatmap_loss(heatmaps, targets, weights).item() == pytest.approx(4 * 0.5 / 6 / 2)


def test_pck_counts_joints_within_a_fifth_of_the_torso(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path, people=2))
    joints = people.skeleton.joints
    left, right = joints.index("left_shoulder"), joints.index("right_hip")
    people.joints[:, left], people.joints[:, right] = (0, 0), (30, 40)  # a torso of 50
    people.labelled[1, left] = False  # and one that nobody knows
    people.labelled[0, 3] = False
    keypoints = people.joints.copy()
    keypoints[0, 1, 0] += 9.9
    keypoints[0, 2, 0] += 10.1
    share, by_joint = torso_pck(keypoints, people)
    assert share == pytest.approx(15 / 16)
    assert (by_joint[1], by_joint[2]) == (1, 0)
    assert np.isnan(by_joint[3])


def test_ap_of_all_and_half_correct_poses(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path, people=2))
    sizes = np.full((2, 2), 95, np.float32)
    scores = np.full((2, 17), 0.9, np.float32)
    scores[1] = 0.4
    assert average_precision(people.joints, scores, people, sizes) == pytest.approx(1)
    keypoints = people.joints.copy()
    keypoints[1] += 60
    # The surer of the two is right: precision 1 up to recall .5, so at 51 of COCO's 101 recalls.
    assert average_precision(keypoints, scores, people, sizes) == pytest.approx(51 / 101)


def test_pckh_counts_joints_within_half_a_head(tmp_path: Path) -> None:
    people = load_people(write_mpii(tmp_path, people=2))
    names = people.skeleton.joints
    people.joints[:, names.index("neck")], people.joints[:, names.index("head")] = (0, 0), (30, 40)
    people.labelled[1, names.index("head")] = False  # a head of no known length
    people.labelled[0] = True
    keypoints = people.joints.copy()
    keypoints[0, names.index("left_knee"), 0] += 24.9  # half a head is 25
    keypoints[0, names.index("left_wrist"), 0] += 25.1
    keypoints[0, names.index("pelvis"), 0] += 99  # does not count
    assert head_pck(keypoints, people) == pytest.approx(13 / 14)


class Painter(nn.Module):
    """Finds every joint where the crop is brightest."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        small = nn.functional.max_pool2d(crops.sum(dim=1, keepdim=True), 3, 4, 1)
        return small.expand(-1, 17, -1, -1) * self.scale


def test_validation_of_accurate_network_gives_high_oks(tmp_path: Path) -> None:
    import cv2

    people = load_people(write_set(tmp_path, people=5))
    for i, joint in enumerate(people.joints[:, 0].astype(int).tolist()):
        image = np.zeros((96, 96, 3), np.uint8)
        cv2.circle(image, joint, 1, (255, 255, 255), cv2.FILLED)
        cv2.imwrite(str(people.images[i]), image)
    people.joints[:] = people.joints[:, :1]
    recipe = replace(MODERN, targets="classic")
    net = Painter().train()
    validation = validate(net, people, recipe, Stage((128, 96), 1), "fp32", ImageCache(2**24))
    assert validation.oks > 0.8
    assert np.abs(validation.keypoints - people.joints).max() < 2
    assert net.training


def test_crops_are_normalized_with_imagenet_mean_and_std(tmp_path: Path) -> None:
    crops = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8)
    ours = normalized(crops)
    rgb = crops.numpy()[..., ::-1] / 255
    by_hand = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(ours.numpy(), by_hand.transpose(0, 3, 1, 2), atol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last)
