"""Requests that the page for browsers refuses, and the headers of its answers."""

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from hrpose_rt.sinks import web, web_security
from hrpose_rt.sinks.web import WebView
from tests.sinks.test_video import results
from tests.sinks.web_client import ask, get, next_picture, talk


def test_web_rejects_foreign_host_header(view) -> None:
    status, text = get(view.url + "state", host="evil.example:80")
    assert (status, text) == (403, b"evil.example is not this machine")
    assert get(view.url + "state", host="localhost:80")[0] == 200


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/state", "Host: 127.0.0.1", 200),  # as on port 80
        ("/state", "Host: localhost", 200),
        ("/state", "Host: [::1]", 200),
        ("/state", "Host: [::1]:80", 200),
        ("/state", "Host: 192.168.1.5", 403),
        ("/state", "Host: [::1", 403),
        ("/state", "Host:", 403),
        ("/state", "Host: localhost\nSec-Fetch-Site: same-origin", 200),
        ("/state", "Host: localhost\nSec-Fetch-Site: none", 200),
        ("/live/0", "Host: localhost:1\nSec-Fetch-Site: cross-site", 403),
        ("/live/0", "Host: localhost:1\nSec-Fetch-Site: same-site\nSec-Fetch-Dest: image", 403),
        ("/", "Host: localhost:1\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: iframe", 403),
        ("/", "Host: localhost\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: document", 200),  # a link
        ("/live/" + "9" * 5000, "Host: localhost", 404),
        ("/live/-1", "Host: localhost", 404),
        ("/live/0/1", "Host: localhost", 404),
        ("/healthz", "Host: pod-7", 200),
        ("/metrics", "Host: localhost", 200),
        ("/metrics", "Host: pod-7", 403),
        ("/report", "Host: localhost", 200),
        ("/report", "Host: pod-7", 403),
        ("/events", "Host: pod-7", 403),
        ("/events", "Host: localhost:1\nSec-Fetch-Site: cross-site", 403),
        ("/state?token=%ff%00", "Host: localhost", 200),
        ("/%zz", "Host: localhost", 404),
        ("/state", "Host: localhost\nContent-Length: abc", 400),
        ("/state", "Accept: none", 400),
    ],
)
def test_web_status_code_by_path_and_request_headers(view, path, lines, status, capfd) -> None:
    view.panel("", "video")
    assert talk(view, ask(path, lines)).startswith(b"HTTP/1.1 %d " % status)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", bytes(range(256))])
def test_web_malformed_request_gets_400_and_prints_nothing(view, data, capfd) -> None:
    assert talk(view, data).startswith(b"HTTP/1.1 400 ")
    assert get(view.url + "state")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_web_bad_requests_print_nothing_in_separate_process() -> None:
    program = (
        "import socket\n"
        "from hrpose_rt.sinks.web import WebView\n"
        "with WebView() as view:\n"
        "    port = int(view.url.rstrip('/').rpartition(':')[2])\n"
        "    long = b'GET /live/' + b'9' * 5000 + b' HTTP/1.1\\r\\nHost: localhost:1\\r\\n\\r\\n'\n"
        "    for data in (b'GET\\r\\n\\r\\n', long):\n"
        "        with socket.create_connection(('127.0.0.1', port)) as sent:\n"
        "            sent.sendall(data)\n"
        "            sent.shutdown(socket.SHUT_WR)\n"
        "            while sent.recv(65536): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", ["/", "/state", "/report", "/healthz", "/metrics", "/none"])
def test_web_responses_carry_security_headers(view, path) -> None:
    head = talk(view, ask(path, "Host: localhost")).partition(b"\r\n\r\n")[0].decode().lower()
    assert "x-content-type-options: nosniff" in head
    assert "cross-origin-resource-policy: same-origin" in head
    assert re.search(r"content-security-policy: default-src 'none'; .*frame-ancestors 'none'", head)
    assert "cache-control: no-store" in head and "unsafe" not in head and "server:" not in head


def test_web_times_out_partial_requests_and_limits_connections(monkeypatch) -> None:
    monkeypatch.setattr(web_security, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(web, "limited_protocol", lambda: web_security.limited_protocol(0.5))
    with WebView() as view:
        port = int(view.url.rstrip("/").rpartition(":")[2])
        halves = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(5)]
        for half in halves:
            half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        with pytest.raises(OSError):  # one too many
            get(view.url)
        for half in halves:
            with half:
                assert _ended(half)
        assert get(view.url)[0] == 200
        panel, (result,) = view.panel("", "video"), results(1)
        with urllib.request.urlopen(view.url + "live/0", timeout=5) as stream:
            stream.readline()
            time.sleep(0.7)  # who has asked may watch for as long as they like
            panel.write(result, result.frame.image)
            next_picture(stream)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_web_requires_token() -> None:
    with WebView(host="0.0.0.0", token="open sesame") as view:
        url = view.url.replace("0.0.0.0", "127.0.0.1")
        assert url.endswith("/?token=open%20sesame") and get(url)[0] == 200
        status, text = get(url.partition("?")[0])
        assert status == 403 and b"must end in ?token=" in text
        assert get(url.replace("sesame", "barley"))[0] == 403
        for path in ("state", "events", "report", "live/0"):
            assert get(url.replace("/?token=open%20sesame", f"/{path}?token=open"))[0] == 403
        assert get(url.replace("/?", "/report?"))[0] == 200
