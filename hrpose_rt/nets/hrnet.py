"""HRNet in PyTorch, with the official parameter names and order of operations.

Source of the architecture: Sun, Xiao, Liu, Wang, "Deep High-Resolution Representation Learning for
Human Pose Estimation", CVPR 2019. Names follow the authors' checkpoints, so these load strictly.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from hrpose_rt.nets.hrnet_config import HRNetConfig

EXPANSION = 4  # output width of a bottleneck, as a multiple of its inner width


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, activate: bool = True) -> nn.Sequential:
    """A padded convolution without bias, batch norm, and a ReLU if `activate`."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if activate else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the width does not change."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut, widened to `EXPANSION * planes`."""

    def __init__(self, c_in: int, planes: int) -> None:
        super().__init__()
        c_out = planes * EXPANSION
        self.conv1 = nn.Conv2d(c_in, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.downsample = conv_bn(c_in, c_out, 1, activate=False) if c_in != c_out else None

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


def fuse_path(channels: Sequence[int], to: int, frm: int) -> nn.Module | None:
    """Layers from branch `frm` to the resolution and width of branch `to`; None if both are the same."""
    if frm == to:
        return None
    if frm > to:  # from a coarser branch: 1x1 and nearest up-sampling
        return nn.Sequential(
            *conv_bn(channels[frm], channels[to], 1, activate=False),
            nn.Upsample(scale_factor=2 ** (frm - to), mode="nearest"),
        )
    steps = to - frm  # from a finer branch: one strided 3x3 per halving; only the last widens, without ReLU
    halvings = [conv_bn(channels[frm], channels[frm], 3, 2) for _ in range(steps - 1)]
    return nn.Sequential(*halvings, conv_bn(channels[frm], channels[to], 3, 2, activate=False))


class HighResolutionModule(nn.Module):
    """Parallel branches at halving resolutions, then fusion between all of them."""

    def __init__(self, channels: Sequence[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels
        )
        self.fuse_layers = nn.ModuleList(
            _paths([fuse_path(channels, i, j) for j in range(len(channels))]) for i in range(outputs)
        )

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            assert isinstance(paths, nn.ModuleList)
            terms = [x if path is None else path(x) for path, x in zip(paths, xs, strict=True)]
            total = terms[0]
            for term in terms[1:]:  # in branch order, the same order of summation as in the official code
                total = total + term
            fused.append(relu(total))
        return fused


class HRNet(nn.Module):
    """Turns (B, 3, H, W) normalised RGB into (B, K, H/4, W/4) heatmaps; H and W are multiples of 32."""

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        c = config
        self.conv1 = nn.Conv2d(3, c.stem, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c.stem)
        self.conv2 = nn.Conv2d(c.stem, c.stem, 3, 2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c.stem)
        first_out = c.first_planes * EXPANSION
        self.layer1 = nn.Sequential(
            Bottleneck(c.stem, c.first_planes),
            *(Bottleneck(first_out, c.first_planes) for _ in range(c.first_blocks - 1)),
        )
        self.transition1 = _transition((first_out,), c.channels(2))
        self.stage2 = _stage(c, branches=2)
        self.transition2 = _transition(c.channels(2), c.channels(3))
        self.stage3 = _stage(c, branches=3)
        self.transition3 = _transition(c.channels(3), c.channels(4))
        self.stage4 = _stage(c, branches=4)
        self.final_layer = nn.Conv2d(c.width, c.joints, c.head_kernel, padding=c.head_kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))  # (B, stem, H/2, W/2)
        x = relu(self.bn2(self.conv2(x)))  # (B, stem, H/4, W/4)
        xs = [self.layer1(x)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            xs = stage(_widen(transition, xs))  # branch i: (B, width * 2**i, H/4/2**i, W/4/2**i)
        out: Tensor = self.final_layer(xs[0])  # (B, K, H/4, W/4)
        return out


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Change the branches' widths from `before` to `after`, which has one branch more."""
    paths: list[nn.Module | None] = [
        None if b == a else conv_bn(b, a, 3) for b, a in zip(before, after, strict=False)
    ]
    # The new, coarser branch is computed from the coarsest existing one.
    paths.append(nn.Sequential(conv_bn(before[-1], after[-1], 3, 2)))
    return _paths(paths)


def _paths(paths: list[nn.Module | None]) -> nn.ModuleList:
    """A ModuleList with None entries, which PyTorch allows and its types do not."""
    return nn.ModuleList(paths)  # type: ignore[arg-type]


def _widen(transition: nn.ModuleList, xs: list[Tensor]) -> list[Tensor]:
    sources = [*xs, xs[-1]]
    return [x if path is None else path(x) for path, x in zip(transition, sources, strict=True)]


def _stage(config: HRNetConfig, branches: int) -> nn.Sequential:
    count = config.modules[branches - 2]
    channels = config.channels(branches)
    # The head uses only the finest branch, so the last module of the last stage outputs that one only.
    outputs = [1 if branches == 4 and i == count - 1 else branches for i in range(count)]
    return nn.Sequential(*(HighResolutionModule(channels, config.blocks, n) for n in outputs))


def draw_weights(net: nn.Module, std: float) -> None:
    """Initialise as the original does with .001: convolutions N(0, std), biases 0, batch norms 1 and 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
