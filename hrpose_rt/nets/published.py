"""Pose networks published by others, as values; the project contains none of their files.

Source of names, hashes (eight hex digits in an OpenMMLab file name begin its sha256) and metrics:
OpenMMLab's model zoo; AP on COCO val2017 with a detector's boxes and flip test, Mean@0.1 on MPII.
"""

import re
from dataclasses import dataclass

from hrpose_rt.nets.hrnet_config import W32, W48, HRNetConfig, heatmap_size
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.paths import fetched_folder

_COCO = "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/"
_MPII = "https://download.openmmlab.com/mmpose/top_down/hrnet/"


@dataclass(frozen=True, slots=True)
class Published:
    """A network to download.

    Attributes:
        name: Its name on the command line.
        url: Address of the checkpoint.
        config: Its configuration.
        input_hw: Height and width of its crops.
        skeleton: Name of its skeleton.
        decode: Decoding of its heatmaps.
        figure: Accuracy that the publishers measured.
    """

    name: str
    url: str
    config: HRNetConfig
    input_hw: tuple[int, int]
    skeleton: str
    decode: str
    figure: str

    @property
    def file_name(self) -> str:
        """The checkpoint's file name."""
        return self.url.rpartition("/")[2]

    @property
    def is_here(self) -> bool:
        """Whether it was fetched."""
        return (fetched_folder() / self.file_name).is_file()

    @property
    def sha256_prefix(self) -> str:
        """The first hex digits of its sha256."""
        return self.file_name.rpartition("-")[2].partition("_")[0]

    def spec(self, weights_sha256: str) -> EngineSpec:
        """The spec of the network."""
        h, w = self.input_hw
        return EngineSpec(
            model=self.name,
            task="pose",
            inputs_hw=(self.input_hw,),
            precision="fp32",
            weights_sha256=weights_sha256,
            skeleton=self.skeleton,
            heatmap_hw=heatmap_size((h, w)),
            decode=self.decode,
        )


def _coco(config: HRNetConfig, size: str, variant: str, batch: str, stamp: str, ap: str) -> Published:
    h, w = map(int, size.split("x"))
    width = f"hrnet-w{config.width}"
    middle = f"{variant}-{batch}" if variant else batch
    return Published(
        name=f"{width}-{size}" + (f"-{variant}" if variant else ""),
        url=f"{_COCO}td-hm_{width}_{middle}-210e_coco-{size}-{stamp}.pth",
        config=config,
        input_hw=(h, w),
        skeleton="coco17",
        decode=variant or "quarter",
        figure=f"AP {ap}",
    )


def _mpii(config: HRNetConfig, stamp: str, mean: str) -> Published:
    return Published(
        name=f"hrnet-w{config.width}-mpii-256x256",
        url=f"{_MPII}hrnet_w{config.width}_mpii_256x256-{stamp}.pth",
        config=config.with_joints(16),
        input_hw=(256, 256),
        skeleton="mpii16",
        decode="quarter",
        figure=f"Mean@0.1 {mean}",
    )


_LISTED = (
    _coco(W32, "256x192", "", "8xb64", "81c58e40_20220909", ".749"),
    _coco(W32, "384x288", "", "8xb64", "ca5956af_20220909", ".761"),
    _coco(W48, "256x192", "", "8xb32", "0e67c616_20220913", ".756"),
    _coco(W48, "384x288", "", "8xb32", "c161b7de_20220915", ".767"),
    _coco(W32, "256x192", "dark", "8xb64", "0e00bf12_20220914", ".757"),
    _coco(W32, "384x288", "dark", "8xb64", "9bab4c9b_20220917", ".766"),
    _coco(W32, "256x192", "udp", "8xb64", "73ede547_20220914", ".762"),
    _coco(W32, "384x288", "udp", "8xb64", "9a3f7c85_20220914", ".768"),
    _coco(W48, "256x192", "dark", "8xb32", "e1ebdd6f_20220913", ".764"),
    _coco(W48, "384x288", "dark", "8xb32", "39c3c381_20220916", ".772"),
    _coco(W48, "256x192", "udp", "8xb32", "3feaef8f_20220913", ".768"),
    _coco(W48, "384x288", "udp", "8xb32", "70d7ab01_20220913", ".773"),
    _mpii(W32, "6c4f923f_20200812", ".334"),
    _mpii(W48, "92cab7bd_20200812", ".337"),
)
_SIZE = re.compile(r"(?<!\d)(\d{2,3})x(\d{2,3})(?!\d)")
PUBLISHED = {model.name: model for model in _LISTED}
# The short names stand for the sizes that most people use.
ALIASES = {"hrnet-w32": "hrnet-w32-256x192", "hrnet-w48": "hrnet-w48-256x192"}


def read_name(stem: str) -> tuple[tuple[int, int] | None, str | None]:
    """Read input size and decoding from a checkpoint's name, such as w32_256x192_dark.

    Returns:
        Height and width of its crops, and its decoding; None for what the name does not say. Names of the
        original's checkpoints, pose_hrnet_..., mean "quarter".
    """
    sizes = [(int(h), int(w)) for h, w in _SIZE.findall(stem)]
    size = next((hw for hw in sizes if not any(side % 32 for side in hw)), None)
    words = re.split(r"[^a-z0-9]+", stem.lower())
    for word, decode in (("udp", "udp"), ("dark", "dark"), ("darkpose", "dark")):
        if word in words:
            return size, decode
    return size, "quarter" if stem.startswith("pose_hrnet") else None
