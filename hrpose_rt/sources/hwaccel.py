"""Decode video on a GPU, where FFmpeg and the machine can."""

from functools import cache

import av.error
from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available

from hrpose_rt.console import say
from hrpose_rt.hardware import NO_NVIDIA, nvidia_gpus
from hrpose_rt.sources.base import HWACCELS

PROBED = "h264"  # the codec that every such device decodes


def decoding_device(name: str) -> HWAccel | None:
    """The device to decode on, for `av.open`; None for the CPU.

    A video in a codec that the device lacks is decoded on the CPU. Says so once if the device is not here.

    Args:
        name: One of `HWACCELS`. "auto" is the first device that is here.
    """
    found = _found(name)
    return HWAccel(found) if found else None


@cache
def _found(name: str) -> str:
    """The device with that name, or for "auto" any; empty for the CPU."""
    if name == "none":
        return ""
    if name == "auto":
        return next((device for device in HWACCELS[2:] if not _why_not(device)), "")
    if reason := _why_not(name):
        say(f"videos are decoded on the CPU: {reason}")
        return ""
    return name


def _why_not(device: str) -> str:
    """The reason why a device does not decode here; empty if it does."""
    if device == "cuda" and not nvidia_gpus():
        return NO_NVIDIA
    if device not in hwdevices_available():
        return f"PyAV's FFmpeg was built without {device}"
    try:
        HWAccel(device).create(Codec(PROBED, "r"))
    except NotImplementedError:
        return f"PyAV's FFmpeg decodes no {PROBED} with it"
    except av.error.FFmpegError as error:
        return f"{device} does not start here ({error.strerror})"
    return ""
