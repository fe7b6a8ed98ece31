"""Cameras, opened by number or by device path."""

import contextlib
import sys
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.backoff import backoff
from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.base import RECONNECT_S
from hrpose_rt.sources.live import LatestFrame, LiveSource, connection_lost
from hrpose_rt.sources.quiet_stderr import silence_stderr
from hrpose_rt.types import U8, SourceInfo


class Camera(LiveSource):
    """Gives the newest frame of a camera whenever the pipeline is ready for one.

    A thread reads as fast as the camera delivers, so latency never grows. Frames that are not taken in
    time are dropped and counted. A camera that is unplugged is reopened when it is back.

    Args:
        device: The system's number of the camera; on Linux also the path of its device.
        clip: The part to use. Seconds count from opening the camera.
        reconnect_s: How long to retry a camera that disconnects, in seconds; 0 stops immediately.
    """

    def __init__(self, device: int | Path, clip: Clip, reconnect_s: float = RECONNECT_S) -> None:
        super().__init__()
        self._capture = _open(device)
        self._device, self._clip, self._reconnect_s = device, clip, reconnect_s
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = max(0.0, self._capture.get(cv2.CAP_PROP_FPS)) or 30.0  # V4L says -1 if it does not know
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
        """Read to the end. The same thread releases the camera, which does not survive both at once."""
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
            with contextlib.suppress(BadInput):  # not back yet: keep the old capture, which gives no frames
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
    """The available cameras, as far as the system lists them."""
    devices = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
    return f"this machine has {', '.join(devices)}" if devices else "no camera is connected"
