"""Normalisation inside the network."""

import torch

from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.preprocessing import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB, hrnet_on_crops
from tests.nets.test_hrnet import TINY


def test_bgr_crops_give_same_output_as_normalised_rgb() -> None:
    torch.manual_seed(0)
    net = HRNet(TINY).eval()
    crops = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    rgb = crops[..., [2, 1, 0]].permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN_RGB, IMAGENET_STD_RGB))
    with torch.inference_mode():
        expected = net((rgb - mean) / std)
        torch.testing.assert_close(hrnet_on_crops(net)(crops), expected, atol=1e-5, rtol=1e-4)


def test_preprocessing_wrapper_leaves_hrnet_weights_unchanged() -> None:
    net = HRNet(TINY).eval()
    weight = net.conv1.weight.clone()
    hrnet_on_crops(net)
    torch.testing.assert_close(net.conv1.weight, weight)
