"""Cameras, by number or by their device."""

import contextlib
import sys
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.base import RECONNECT_S
from hrpose_rt.sources.live import LatestFrame, LiveSource, backoff, connection_lost
from hrpose_rt.sources.quiet_stderr import silence_stderr
from hrpose_rt.types import U8, SourceInfo


class Camera(LiveSource):
    """The newest frame of a camera, whenever the pipeline is ready for one.

    A thread reads as fast as the camera gives, so that latency never grows; frames that nobody took in
    time are dropped and counted. One that is unplugged is opened again when it is back.

    Args:
        device: As the system counts cameras; or, on Linux, the path of its device.
        clip: Which part of it; seconds count from the opening.
        reconnect_s: Seconds of failed attempts after which it counts as gone; 0 for none.
    """

    def __init__(self, device: int | Path, clip: Clip, reconnect_s: float = RECONNECT_S) -> None:
        super().__init__()
        self._capture = _open(device)
        self._device, self._clip, self._reconnect_s = device, clip, reconnect_s
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0
        self.info = SourceInfo(
            name=_called(device),
            stem=f"camera{device}" if isinstance(device, int) else device.name,
            width=width,
            height=height,
            fps=fps / clip.stride,
            frames=clip.count(None, fps),
            is_video=True,
            is_live=True,
        )
        self._newest: LatestFrame[U8] = LatestFrame(lambda image: image)
        self._start(self._read)

    def _read(self) -> None:
        """Read to the end; who reads also releases, as a camera does not survive both at once."""
        try:
            self._read_on()
        finally:
            self._capture.release()

    def _read_on(self) -> None:
        attempts = backoff(self._reconnect_s)
        while not self._closing.is_set():
            ok, image = self._capture.read()
            if ok:
                self._newest.put(np.asarray(image, np.uint8))
                attempts = backoff(self._reconnect_s)
                continue
            pause = next(attempts, None)
            if pause is None:
                self._newest.end(connection_lost(self.info.name, self._reconnect_s))
                return
            if self._closing.wait(pause):
                return
            with contextlib.suppress(BadInput):  # not back yet: the old one goes on giving nothing
                fresh = _open(self._device)
                self._capture.release()
                self._capture = fresh


def _called(device: int | Path) -> str:
    return f"camera {device}" if isinstance(device, int) else str(device)


def _open(device: int | Path) -> cv2.VideoCapture:
    path = Path(f"/dev/video{device}") if isinstance(device, int) else device
    if sys.platform == "linux" and not path.exists():
        raise BadInput(f"there is no camera {device}: {_cameras()}")
    with silence_stderr():
        capture = cv2.VideoCapture(device if isinstance(device, int) else str(device))
    if not capture.isOpened():
        raise BadInput(f"{_called(device)} does not open, another program may be using it: {_cameras()}")
    return capture


def _cameras() -> str:
    """What there is instead, as far as the system tells."""
    devices = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    return f"this machine has {', '.join(devices)}" if devices else "no camera is connected"
