"""The configuration of an HRNet as a value, importable without torch."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class HRNetConfig:
    """Configuration of an HRNet (Sun et al., CVPR 2019); the defaults are the paper's.

    Attributes:
        width: Channels of the highest-resolution branch; branch i has `width * 2**i`.
        modules: Number of exchange modules in stages 2, 3 and 4.
        blocks: Basic blocks in every branch of a module.
        stem: Channels of the two strided convolutions before stage 1.
        first_blocks: Bottlenecks in stage 1 (`layer1`).
        first_planes: Their inner width; they output `4 * first_planes` channels.
        joints: Number of output heatmaps.
        head_kernel: Side of the last convolution, 1 or 3.
    """

    width: int
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    stem: int = 64
    first_blocks: int = 4
    first_planes: int = 64
    joints: int = 17
    head_kernel: int = 1

    def channels(self, branches: int) -> tuple[int, ...]:
        """Channels of each of the first `branches` branches."""
        return tuple(self.width * 2**i for i in range(branches))

    def with_joints(self, joints: int) -> "HRNetConfig":
        """The same network for another number of joints."""
        return replace(self, joints=joints)


W32 = HRNetConfig(width=32)
W48 = HRNetConfig(width=48)
W16 = HRNetConfig(width=16)
# With 16 channels, a 1x1 head would make the maps of 17 joints linearly dependent (the ankles' were).
W16_LITE = HRNetConfig(
    width=16, modules=(1, 2, 2), blocks=2, stem=32, first_blocks=2, first_planes=32, head_kernel=3
)

CONFIGS = {"hrnet-w16-lite": W16_LITE, "hrnet-w16": W16, "hrnet-w32": W32, "hrnet-w48": W48}


def heatmap_size(input_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the heatmaps for crops of this height and width: a quarter."""
    return input_hw[0] // 4, input_hw[1] // 4
