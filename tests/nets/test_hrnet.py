"""HRNet, exactly."""

import pytest
import torch

from hrpose_rt.nets.hrnet import HRNet, draw_weights
from hrpose_rt.nets.hrnet_config import W16, W16_LITE, W32, W48, HRNetConfig

TINY = HRNetConfig(width=4, modules=(1, 1, 2), blocks=1, stem=8, first_blocks=1, first_planes=4)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(W32, 28_536_113), (W48, 63_595_745), (W16, 7_445_889), (W16_LITE, 2_486_433)],
    ids=["w32", "w48", "w16", "w16-lite"],
)
def test_hrnet_parameter_counts(config, parameters) -> None:
    with torch.device("meta"):  # counts them without making them
        net = HRNet(config)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_hrnet_state_dict_names_and_shapes_match_official() -> None:
    with torch.device("meta"):
        state = HRNet(W32).state_dict()
    for name, shape in {
        "conv1.weight": (64, 3, 3, 3),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.3.conv3.weight": (256, 64, 1, 1),
        "transition1.0.0.weight": (32, 256, 3, 3),
        "transition1.1.0.0.weight": (64, 256, 3, 3),
        "stage2.0.fuse_layers.0.1.0.weight": (32, 64, 1, 1),
        "stage3.3.branches.2.3.bn2.running_var": (128,),
        "stage3.0.fuse_layers.2.0.1.0.weight": (128, 32, 3, 3),
        "transition3.3.0.1.bias": (256,),
        "stage4.2.fuse_layers.0.3.1.weight": (32,),
        "final_layer.bias": (17,),
    }.items():
        assert tuple(state[name].shape) == shape
    # The last module fuses into the finest branch alone.
    assert not any(name.startswith("stage4.2.fuse_layers.1.") for name in state)


@pytest.mark.parametrize(("h", "w"), [(64, 32), (96, 64)])
def test_hrnet_heatmaps_are_quarter_of_crop_size(h: int, w: int) -> None:
    with torch.inference_mode():
        heatmaps = HRNet(TINY).eval()(torch.zeros(2, 3, h, w))
    assert heatmaps.shape == (2, 17, h // 4, w // 4)


def test_hrnet_initial_weights_have_given_std_and_zero_bias() -> None:
    torch.manual_seed(0)
    net = HRNet(W16_LITE)
    draw_weights(net, 0.001)
    state = net.state_dict()
    convolutions = [t for name, t in state.items() if t.ndim == 4 and t.numel() > 1000]
    for weights in convolutions:
        assert weights.std().item() == pytest.approx(0.001, rel=0.1)
        assert abs(weights.mean().item()) < 2e-4
    assert state["final_layer.bias"].abs().max() == 0
    assert (state["bn1.weight"] == 1).all() and (state["bn1.bias"] == 0).all()
