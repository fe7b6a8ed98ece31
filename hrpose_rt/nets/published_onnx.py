"""Pose networks published by others as ONNX files, as values; the project contains none of them.

Source of names and metrics: the RTMPose project of MMPose (AP on COCO val2017; PCK@0.1 on Body8 for
Halpe-26) and the model zoo of rtmlib. The publishers give no hashes. These sha256 are those of the ONNX
file itself, as several independent projects pin it.
"""

import re
from dataclasses import dataclass

from hrpose_rt.paths import fetched_folder

_HOSTS = (
    "https://download.openmmlab.com/mmpose/v1/projects/",
    "https://huggingface.co/Tau-J/RTMPose/resolve/main/",
)
_RTMPOSE = "rtmposev1/onnx_sdk/rtmpose-"
_DWPOSE = "https://huggingface.co/yzd-v/DWPose/resolve/main/dw-ll_ucoco_384.onnx"
_VITPOSE = "https://huggingface.co/JunkyByte/easy_ViTPose/resolve/main/onnx/coco/vitpose-b-coco.onnx"


@dataclass(frozen=True, slots=True)
class PublishedOnnx:
    """An ONNX file to download.

    Attributes:
        name: Its name on the command line.
        urls: Addresses of the file, or of a zip archive with it; tried in this order.
        sha256: Hash of the ONNX file.
        input_hw: Height and width of its crops.
        skeleton: Name of its skeleton.
        preset: See `onnx_source.PRESETS`.
        figure: Accuracy that the publishers measured, if any.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    input_hw: tuple[int, int]
    skeleton: str
    preset: str
    figure: str

    @property
    def file_name(self) -> str:
        """Name of the ONNX file in the folder of fetched models."""
        return f"{self.name}.onnx"

    @property
    def is_here(self) -> bool:
        """Whether it was fetched."""
        return (fetched_folder() / self.file_name).is_file()

    def description(self) -> str:
        """The TOML file that goes beside it."""
        h, w = self.input_hw
        return f'preset = "{self.preset}"\nskeleton = "{self.skeleton}"\ninput_hw = [{h}, {w}]\n'


def _openmmlab(name: str, path: str, sha256: str, figure: str, skeleton: str = "coco17") -> PublishedOnnx:
    """A SimCC network in an archive of OpenMMLab, whose name has the size."""
    h, w = map(int, re.findall(r"-(\d+)x(\d+)", path)[-1])
    urls = tuple(f"{host}{path}.zip" for host in _HOSTS)
    return PublishedOnnx(name, urls, sha256, (h, w), skeleton, "rtmpose", figure)


_LISTED = (
    _openmmlab(
        "rtmpose-t",
        f"{_RTMPOSE}t_simcc-body7_pt-body7_420e-256x192-026a1439_20230504",
        "a6c2f6a3896a4d51131d14d7a80a3d08b50f559af5a58a45d5b098aef510a70f",
        "AP .659",
    ),
    _openmmlab(
        "rtmpose-s",
        f"{_RTMPOSE}s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504",
        "9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d",
        "AP .697",
    ),
    _openmmlab(
        "rtmpose-m",
        f"{_RTMPOSE}m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504",
        "5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c",
        "AP .749",
    ),
    _openmmlab(
        "rtmpose-x",
        f"{_RTMPOSE}x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629",
        "df0c0fa91e9870b1515dcaff741fd76cc753dcfb12786862f61b243bae81cd52",
        "AP .788",
    ),
    _openmmlab(
        "rtmpose-m-halpe26",
        f"{_RTMPOSE}m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605",
        "26f3a19e61304a600dfb82d1001d41d24343b89fc70a33ffc84657e0b0bf2ecf",
        "PCK .948",
        "halpe26",
    ),
    _openmmlab(
        "rtmw-l-384x288",
        "rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122",
        "bd033156e5104c4f5d2edfe0453e02661e30a2f3da453ec93c8764d561b83054",
        "",
        "wholebody133",
    ),
    PublishedOnnx(
        "dwpose-l-384x288",
        (_DWPOSE,),
        "724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
        (384, 288),
        "wholebody133",
        "rtmpose",
        "",
    ),
    PublishedOnnx(
        "vitpose-b",
        (_VITPOSE,),
        "26e215fd6e27305824f13db0a0d0b597c3c4adf030dd66cbadf2228256f4af25",
        (256, 192),
        "coco17",
        "vitpose",
        "AP .770",
    ),
)
PUBLISHED_ONNX = {network.name: network for network in _LISTED}
