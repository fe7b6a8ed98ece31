"""What lies behind addresses: videos and images, which have an end, and what cannot be played."""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.connection import Unreachable
from hrpose_rt.sources.open import open_source
from tests.conftest import write_video


class Server(ThreadingHTTPServer):
    """Takes as many connections as come: FFmpeg opens one for every seek."""

    request_queue_size = 64


class Files(SimpleHTTPRequestHandler):
    """A folder's files, as Python's server gives them: without parts of them."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


class InParts(Files):
    """A server that gives parts, too, and counts the bytes that it gave."""

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:])


class Malformed(BaseHTTPRequestHandler):
    """Motion JPEG whose first part has no boundary before it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        self.wfile.write((b"Content-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n--frame\r\n") * 30)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[object]:
    """Starts a server of `tmp_path` and says where it is."""
    servers = []

    def start(handler: type = Files) -> str:
        made = partial(handler, directory=str(tmp_path)) if issubclass(handler, Files) else handler
        server = Server(("127.0.0.1", 0), made)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("handler", [Files, InParts])
@pytest.mark.parametrize("name", ["video.mp4", "video.ts", "video.m3u8"])
def test_http_video_is_finite_and_seekable(serve, tmp_path, name, handler) -> None:
    write_video(tmp_path / name, frames=30)
    if name.endswith("mp4"):  # its index stands at its end, so that a part has to be asked for
        data = (tmp_path / name).read_bytes()
        assert data.index(b"moov") > data.index(b"mdat")
    url = f"{serve(handler)}/{name}"
    with open_source(url) as source:
        assert (source.info.is_live, source.info.is_video, source.info.stem) == (False, True, "video")
        assert source.info.name == url
        assert [frame.index for frame in source] == list(range(30))
    with open_source(url, Clip(start=1.0, end=1.5)) as source:
        assert [frame.index for frame in source] == list(range(10, 15))


def test_http_video_temporary_copy_is_deleted_on_close(serve, video, monkeypatch, tmp_path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(copies))
    with open_source(f"{serve()}/{video.name}") as source:
        assert [path.name for path in copies.glob("*/*")] == ["video.mp4"]
        next(iter(source))
    assert not list(copies.iterdir())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_http_image_is_read_as_image(serve, tmp_path, suffix) -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / f"one{suffix}"), image)
    url = f"{serve()}/one{suffix}"
    with open_source(url) as source, open_source(str(tmp_path / f"one{suffix}")) as file:
        assert (source.info.is_video, source.info.is_live, source.info.name) == (False, False, url)
        (frame,), (wanted,) = source, file
        assert frame.file_name == f"one{suffix}"
        np.testing.assert_array_equal(frame.image, wanted.image)


def test_http_html_404_and_malformed_mjpeg_give_distinct_errors(serve, tmp_path) -> None:
    (tmp_path / "page.html").write_text("<html>a page</html>" * 100)
    url = serve()
    with pytest.raises(BadInput, match=r"page.html answers, but with no video \(text/html\): give"):
        open_source(f"{url}/page.html")
    with pytest.raises(Unreachable, match=r"none.mp4 does not answer as a video stream \(.*404"):
        open_source(f"{url}/none.mp4")
    with pytest.raises(BadInput, match="answers with motion JPEG whose parts are malformed"):
        open_source(f"{serve(Malformed)}/")


def test_http_password_is_sent_to_server_but_not_shown(serve, video) -> None:
    seen = []

    class Locked(Files):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            super().do_GET()

    url = serve(Locked).replace("http://", "http://me:a%23b@")
    with open_source(f"{url}/video.mp4") as source:
        assert len(list(source)) == 10
        assert "me" not in source.info.name.replace("video.mp4", "")
    assert seen[-1] == "Basic bWU6YSNi"  # me:a#b


def test_http_video_cut_off_raises_bad_input(serve, video) -> None:
    class Cut(Files):
        def copyfile(self, source: object, outputfile: object) -> None:
            outputfile.write(source.read(600))  # of more that were promised
            self.close_connection = True

    with pytest.raises(BadInput, match=r"127\.0\.0\.1:\d+/video.mp4"):
        open_source(f"{serve(Cut)}/video.mp4")


def test_http_audio_only_file_raises_bad_input(serve, tmp_path) -> None:
    with av.open(str(tmp_path / "sound.ts"), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        for _ in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.rate = 44100
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(BadInput, match=r"sound.ts has no video in it"):
        open_source(f"{serve()}/sound.ts")


@pytest.fixture
def default_sigint() -> Iterator[None]:
    """Ctrl-C as Python has it: a process that a shell began in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_ctrl_c_ends_the_wait_for_a_server_that_says_nothing(default_sigint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            open_source(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < 5  # FFmpeg gives up after ten seconds
