"""Input normalisation and mixed precision for training."""

import contextlib
from typing import Any

import torch
from torch import Tensor

from hrpose_rt.nets.preprocessing import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB

TRAINING_PRECISIONS = ("fp32", "bf16")


def normalized(crops: Tensor) -> Tensor:
    """Crops (B, H, W, 3) uint8 BGR as (B, 3, H, W) normalised RGB, channels last in memory."""
    mean = torch.tensor(IMAGENET_MEAN_RGB, device=crops.device) * 255
    std = torch.tensor(IMAGENET_STD_RGB, device=crops.device) * 255
    return ((crops.flip(3) - mean) / std).permute(0, 3, 1, 2)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """A mixed-precision context for "bf16"; does nothing for "fp32"."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
