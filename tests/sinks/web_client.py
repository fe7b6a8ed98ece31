"""A client of the page for browsers, for tests."""

import json
import socket
import urllib.error
import urllib.request

import cv2
import numpy as np

from hrpose_rt.sinks.web import WebView


def get(url: str, host: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def next_picture(stream) -> np.ndarray:
    """The next JPEG of a multipart stream."""
    size = 0
    while (line := stream.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    data = stream.read(size)
    assert stream.readline() == b"\r\n" and stream.readline() == b"--picture\r\n"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def next_state(stream) -> dict:
    """The next state of an event stream."""
    line = stream.readline()
    assert line.startswith(b"data: ") and stream.readline() == b"\n"
    return json.loads(line.removeprefix(b"data: "))


def talk(view: WebView, data: bytes) -> bytes:
    """What comes back for bytes as they are."""
    port = int(view.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sent:
        sent.sendall(data)
        got = b""
        while part := sent.recv(65536):
            got += part
    return got


def ask(path: str, lines: str) -> bytes:
    return f"GET {path} HTTP/1.1\n{lines}\n\n".replace("\n", "\r\n").encode()
