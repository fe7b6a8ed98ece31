"""Normalisation inside the network."""

import torch

from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.preprocessing import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB, hrnet_on_crops
from tests.nets.test_hrnet import TINY


def test_pictures_give_what_their_normalised_rgb_gives() -> None:
    torch.manual_seed(0)
    net = HRNet(TINY).eval()
    crops = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    rgb = crops[..., [2, 1, 0]].permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN_RGB, IMAGENET_STD_RGB))
    with torch.inference_mode():
        expected = net((rgb - mean) / std)
        torch.testing.assert_close(hrnet_on_crops(net)(crops), expected, atol=1e-5, rtol=1e-4)


def test_the_network_that_is_wrapped_stays_as_it_was() -> None:
    net = HRNet(TINY).eval()
    before = net.conv1.weight.clone()
    hrnet_on_crops(net)
    torch.testing.assert_close(net.conv1.weight, before)
