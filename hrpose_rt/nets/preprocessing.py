"""Networks that take images as they are stored: uint8, channels last, BGR."""

import copy

import torch
from torch import Tensor, nn

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)  # for pixels scaled to 0..1
IMAGENET_STD_RGB = (0.229, 0.224, 0.225)


class NormalizedInput(nn.Module):
    """(B, H, W, 3) uint8 BGR -> (v/255 - mean)/std in RGB -> `net`.

    A copy of the first convolution's weights includes the swap to RGB and the division. This is exact and
    saves two passes over the images. The mean is subtracted before the convolution, since its zero padding
    stands for the average colour, not for black.

    Args:
        net: Takes (B, 3, H, W) normalised RGB.
        first: The name of its first convolution.
        mean: Per channel, RGB, of pixels scaled to 0..1.
        std: Likewise.
    """

    mean: Tensor

    def __init__(
        self,
        net: nn.Module,
        first: str,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        conv = self.net.get_submodule(first)
        assert isinstance(conv, nn.Conv2d)
        with torch.no_grad():
            scaled = conv.weight / (255 * torch.tensor(std).view(1, 3, 1, 1))
            conv.weight.copy_(scaled.flip(1))
        self.register_buffer("mean", 255 * torch.tensor(mean).flip(0))
        self.centred = any(mean)

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.to(self.mean.dtype)
        if self.centred:
            x = x - self.mean
        out: Tensor = self.net(x.permute(0, 3, 1, 2))
        return out


def hrnet_on_crops(net: nn.Module) -> NormalizedInput:
    """An HRNet that takes (B, H, W, 3) uint8 BGR crops."""
    return NormalizedInput(net, "conv1", IMAGENET_MEAN_RGB, IMAGENET_STD_RGB)
