"""Files from the network, from a server of our own that breaks off, lies and resumes."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest

from hrpose_rt.errors import RunBroken
from hrpose_rt.nets.download import fetch, fetch_from_any
from tests.serving import running

CONTENT = bytes(range(256)) * 4000
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


STRANGE = {
    "/text": (200, "Content-Length", "abc"),
    "/negative": (200, "Content-Length", "-5"),
    "/itself": (302, "Location", "/itself"),
    "/a-file": (302, "Location", "file:///etc/passwd"),
}


class Handler(BaseHTTPRequestHandler):
    """Sends CONTENT from where it is asked to; breaks off where the server's `stop_at` says."""

    def do_GET(self) -> None:
        self.server.ranges_requested.append(self.headers.get("Range"))
        if self.path == "/gone":
            self.send_error(404)
            return
        start = 0
        if (requested := self.headers.get("Range")) and self.server.ranges:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                self.send_error(416)
                return
        if self.path in STRANGE:
            status, name, value = STRANGE[self.path]
            self.send_response(status)
            self.send_header(name, value)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.stop_at])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges_requested, server.stop_at, server.ranges = [], None, True
    with running(server):
        yield server


def url(server: ThreadingHTTPServer, path: str = "/net.pth") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_download_writes_whole_file_and_reports_progress(server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch(url(server), tmp_path / "new" / "net.pth", PREFIX, lambda *now: told.append(now))
    assert (tmp_path / "new" / "net.pth").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT)) and len(told) > 2
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["net.pth"]


@pytest.mark.parametrize("ranges", [True, False])
def test_download_resumes_partial_file(server, tmp_path: Path, ranges: bool) -> None:
    path = tmp_path / "net.pth"
    server.stop_at, server.ranges = 300_000, ranges
    with pytest.raises(RunBroken) as error:
        fetch(url(server), path, PREFIX)
    assert f"net.pth could not be fetched (broke off after 300000 of {len(CONTENT)} bytes)" in str(
        error.value
    )
    assert f"fetch {url(server)} by hand and put it into {tmp_path} as net.pth" in str(error.value)
    assert not path.exists()
    server.stop_at = None
    fetch(url(server), path, PREFIX)
    assert path.read_bytes() == CONTENT
    assert server.ranges_requested == [None, "bytes=300000-"]


def test_download_finishes_from_complete_partial_file(server, tmp_path: Path) -> None:
    (tmp_path / "net.pth.partial").write_bytes(CONTENT)
    fetch(url(server), tmp_path / "net.pth", PREFIX)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_download_hash_mismatch_removes_file(server, tmp_path: Path) -> None:
    words = f"and was removed: its sha256 begins with {PREFIX}, not 00000000; try again, or fetch http"
    with pytest.raises(RunBroken, match=words):
        fetch(url(server), tmp_path / "net.pth", "00000000")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/gone", None])
def test_download_failure_names_url_and_folder(server, tmp_path: Path, path) -> None:
    address = url(server, path) if path else "http://127.0.0.1:9/net.pth"  # nobody listens there
    with pytest.raises(RunBroken, match=rf"could not be fetched .*fetch {address} by hand .*{tmp_path}"):
        fetch(address, tmp_path / "net.pth", PREFIX)


@pytest.mark.parametrize("path", STRANGE)
def test_download_invalid_header_or_redirect_raises_one_line_error(path, server, tmp_path: Path) -> None:
    with pytest.raises(RunBroken) as error:
        fetch(url(server, path), tmp_path / "net.pth", PREFIX)
    assert "by hand" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "net.pth").exists()


def test_download_malformed_redirect_url_raises_one_line_error(monkeypatch, tmp_path: Path) -> None:
    def redirected(*_: object, **__: object) -> None:
        raise ValueError("Invalid IPv6 URL")  # as urllib does, which leaves the connection open

    monkeypatch.setattr("urllib.request.urlopen", redirected)
    with pytest.raises(RunBroken, match=r"could not be fetched \(Invalid IPv6 URL\): try again, or fetch"):
        fetch("http://127.0.0.1/net.pth", tmp_path / "net.pth", PREFIX)


def archive(path: Path, **files: bytes) -> str:
    """The address of a zip archive with these files in a folder of it."""
    with ZipFile(path, "w") as opened:
        for name, content in files.items():
            opened.writestr(f"20230831/{name.replace('_', '.')}", content)
    return path.as_uri()


def test_file_in_archive_is_unpacked_and_its_own_hash_is_checked(tmp_path) -> None:
    address = archive(tmp_path / "net.zip", end2end_onnx=CONTENT, deploy_json=b"{}")
    fetch(address, tmp_path / "new" / "net.onnx", PREFIX)
    assert (tmp_path / "new" / "net.onnx").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.onnx"]
    with pytest.raises(RunBroken, match=r"another file.*put the \.onnx file in it into"):
        fetch(address, tmp_path / "other" / "net.onnx", "00000000")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("files", [{}, {"a_onnx": CONTENT, "b_onnx": CONTENT}])
def test_archive_without_one_such_file_is_named(files, tmp_path) -> None:
    with pytest.raises(RunBroken, match=rf"the archive has {len(files)} \.onnx files"):
        fetch(archive(tmp_path / "net.zip", **files), tmp_path / "new" / "net.onnx", PREFIX)
    assert not list((tmp_path / "new").iterdir())


def test_broken_archive_is_not_resumed(tmp_path) -> None:
    (tmp_path / "net.zip").write_bytes(CONTENT)
    with pytest.raises(RunBroken, match=r"not a zip file"):
        fetch((tmp_path / "net.zip").as_uri(), tmp_path / "new" / "net.onnx", PREFIX)
    assert not list((tmp_path / "new").iterdir())


def test_next_host_is_tried_and_the_last_error_is_raised(server, tmp_path, capsys) -> None:
    path = tmp_path / "new" / "net.pth"
    fetch_from_any([url(server, "/gone"), url(server)], path, PREFIX)
    assert path.read_bytes() == CONTENT
    assert "Not Found" in (told := capsys.readouterr().err) and "trying 127.0.0.1" in told
    with pytest.raises(RunBroken, match="Not Found"):
        fetch_from_any([url(server, "/gone")] * 2, tmp_path / "b.pth", PREFIX)
