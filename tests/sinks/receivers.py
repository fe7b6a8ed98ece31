"""Receivers on the loopback, for tests of what is sent."""

import socket
import threading
import time

import av

LISTEN = {
    "rtmp": {"listen": "1"},
    "tcp": {"listen": "1"},
    "rtsp": {"rtsp_flags": "listen", "listen_timeout": "30"},
    "udp": {},
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition, timeout_s: float = 30.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)


class Receiver:
    """Listens at an address for one connection, and decodes its video in a thread."""

    def __init__(self, url: str, stop_after: int | None = None) -> None:
        self.frames: list[av.VideoFrame] = []
        self._url, self._stop_after = url, stop_after
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        options = {"analyzeduration": "200000", **LISTEN[self._url.partition(":")[0]]}
        if self._url.startswith("rtsp"):
            del options["analyzeduration"]
        try:
            with av.open(self._url, options=options) as container:
                for frame in container.decode(video=0):
                    self.frames.append(frame)
                    if len(self.frames) == self._stop_after:
                        return
        except (av.error.FFmpegError, OSError):
            pass  # the sender is gone

    def join(self) -> None:
        self._thread.join(10)
