"""H.264 encoders for saved videos, on the CPU or a GPU."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, cast

from hrpose_rt.console import say
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import NO_NVIDIA, nvidia_gpus

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

ENCODERS = ("x264", "nvenc", "auto")


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder of FFmpeg.

    Attributes:
        codec: FFmpeg's name.
        options: Its options.
    """

    codec: str
    options: dict[str, str] = field(default_factory=dict)


# "superfast" costs a third less than "veryfast", which competes with the networks for the cores. It has no
# lookahead, so only the newest frames are missing from the file when the run is killed.
X264 = Encoder("libx264", {"preset": "superfast", "crf": "22"})
# The middle preset at constant quality, without lookahead either.
NVENC = Encoder("h264_nvenc", {"preset": "p4", "rc": "vbr", "cq": "24", "delay": "0"})
SLOWEST = Fraction(1, 1001)  # frames per second


def check_encoder(name: str) -> None:
    """Raise BadInput if there is no such name."""
    if name not in ENCODERS:
        raise BadInput(f"there is no `encoder` {name}: choose {', '.join(ENCODERS)}")


def find_encoder(name: str, size_wh: tuple[int, int]) -> Encoder:
    """The encoder with that name, or `X264` if it does not encode pictures of this size here.

    Args:
        name: One of `ENCODERS`. "auto" is a GPU's, where there is one.
        size_wh: Width and height of the video.
    """
    if name == "x264":
        return X264
    reason = _why_not(NVENC.codec, size_wh) if nvidia_gpus() else NO_NVIDIA
    if reason and name != "auto":
        say(f"the video is encoded on the CPU: {reason}")
    return X264 if reason else NVENC


def frame_rate(fps: float) -> Fraction:
    """Frames per second as a fraction for encoders, at least `SLOWEST`; they refuse a rate of 0."""
    return max(Fraction(fps).limit_denominator(SLOWEST.denominator), SLOWEST)


@cache
def _why_not(codec: str, size_wh: tuple[int, int]) -> str:
    """The reason why FFmpeg cannot encode with it; empty if it can."""
    import av

    try:
        context = cast("VideoCodecContext", av.CodecContext.create(codec, "w"))
    except ValueError:  # there is no such codec
        return f"PyAV's FFmpeg was built without {codec}"
    context.width, context.height = size_wh
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 25)
    try:
        context.open()
    except av.error.FFmpegError as error:
        return f"{codec} does not start here for {size_wh[0]}x{size_wh[1]} ({error.strerror})"
    return ""
