"""A live stream on this machine: MPEG-TS over HTTP, each frame telling its number."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

from tests.serving import running

FPS = 25
BITS = 12
HW = (64, 16 * BITS)


class LiveServer(ThreadingHTTPServer):
    """Counts frames over all connections.

    Attributes:
        sent: When each frame was handed to the encoder, on `time.perf_counter`'s clock.
        break_after: Frames after which a connection is cut; None for never.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent: list[float] = []
        self.break_after: int | None = None
        self.connections = 0
        self.off = 0  # first connections that are refused
        self.gives_up = False  # after the first connection
        self.closing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/live.ts"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, LiveServer)
        server.connections += 1
        if server.connections <= server.off:
            self.send_error(503)
            return
        if server.gives_up and server.connections > 1:
            self.send_error(404)
            return
        if self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><body>a page</body></html>" * 20)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self._stream(server)
        except (OSError, av.error.FFmpegError):
            pass  # the reader has gone

    def _stream(self, server: LiveServer) -> None:
        with av.open(self.wfile, "w", format="mpegts", options={"flush_packets": "1"}) as out:
            stream = out.add_stream(
                "libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"}
            )
            stream.width, stream.height = HW[1], HW[0]
            stream.pix_fmt = "yuv420p"
            stream.gop_size = FPS // 2
            begin = time.perf_counter()
            for i in range(10**6):
                if server.closing or (server.break_after is not None and i >= server.break_after):
                    return
                time.sleep(max(0.0, begin + i / FPS - time.perf_counter()))
                number = len(server.sent)
                server.sent.append(time.perf_counter())
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="bgr24")))

    def log_message(self, *_: object) -> None:
        pass


def picture(number: int) -> np.ndarray:
    """A picture (HW, 3) whose columns are the bits of `number`, white for one."""
    bits = [(number >> i) & 1 for i in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 255, HW[1] // BITS)
    return np.broadcast_to(row[None, :, None], (*HW, 3)).copy()


def number_of(image: np.ndarray) -> int:
    """The number that a picture tells."""
    columns = image[HW[0] // 2, HW[1] // BITS // 2 :: HW[1] // BITS, 0] > 127
    return sum(1 << i for i, bit in enumerate(columns.tolist()) if bit)


@contextmanager
def live_server() -> Iterator[LiveServer]:
    server = LiveServer()
    with running(server):
        try:
            yield server
        finally:
            server.closing = True
