"""The small networks in the engine files of `library.py`, and these files."""

import json
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class SmallPoseNet(nn.Module):
    """(B, 32, 24, 3) uint8 -> 17 heatmaps (B, 17, 8, 6), a moment's work."""

    input_hw, heatmap_hw, joints = (32, 24), (8, 6), 17

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, self.joints, 5, stride=4, padding=2)

    def forward(self, crops: Tensor) -> Tensor:
        """Heatmaps whose peaks move with the picture."""
        maps: Tensor = self.conv(crops.permute(0, 3, 1, 2).float() / 255)
        return maps


class SmallDetector(nn.Module):
    """(B, 64, 64, 3) uint8 -> boxes (B, 3, 6), xyxy, score, class, whose places hang on the picture."""

    input_hw = (64, 64)

    def __init__(self) -> None:
        super().__init__()
        self.starts = nn.Parameter(torch.tensor([0.0, 18.0, 36.0]))

    def forward(self, pictures: Tensor) -> Tensor:
        """Boxes 12 wide and 30 high, one for each colour."""
        at = pictures.float().mean((1, 2)) / 25 + self.starts
        rest = torch.ones_like(at)
        return torch.stack([at, at, at + 12, at + 30, rest * 0.9, rest * 0], 2)


NETWORKS: dict[str, Callable[[], nn.Module]] = {"pose": SmallPoseNet, "detector": SmallDetector}


def plan(
    network: str = "pose",
    batches: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    input_hw: tuple[int, int] = (32, 24),
    output: Sequence[int] = (17, 8, 6),
    host_code: bool = False,
) -> bytes:
    """An engine file.

    Args:
        network: One of `NETWORKS`.
        batches: Each has a profile of its own.
        input_hw: Height and width of the pictures.
        output: Its answer's shape without the batch.
        host_code: Whether it was built with VERSION_COMPATIBLE, and so holds a library.
    """
    return json.dumps(
        {
            "network": network,
            "batches": [*batches],
            "hw": input_hw,
            "out": [*output],
            "host_code": host_code,
        }
    ).encode()
