"""A web page that shows the run: live frames, stages, and latency by number of people."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np

from hrpose_rt.drawing import MIN_SCORE
from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.web_security import answer_headers, is_loopback, limited_protocol, refusal
from hrpose_rt.timing import Histogram
from hrpose_rt.types import STAGES, U8

LOOPBACK = "127.0.0.1"
QUALITY = 80  # JPEG quality, in 0..100
PAGE_MAX_SIDE_PX = 1280  # larger frames are scaled down for browsers
LOOK_S = 0.5  # time between checks whether the page is closed, while no new frame comes
SEND_BYTES = 2**18  # send buffer for a browser; a larger one would hold old frames
BOUNDARY = b"--picture\r\n"


def parse_address(text: str) -> tuple[str, int]:
    """Parse `[HOST:]PORT` into host and port. Without a host, only this machine can connect."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"`serve` {text} has no port: give PORT or HOST:PORT, such as 8000")
    return host.strip("[]") or LOOPBACK, int(port)


@dataclass(frozen=True, slots=True)
class _LatestResult:
    """The newest frame of a panel."""

    number: int
    result: FrameResult
    at: float


class StreamPanel:
    """A sink that shows its newest frame to browsers."""

    wants_picture = False  # it draws frames itself

    def __init__(self, view: "WebView", name: str) -> None:
        self._view, self.name = view, name
        self.newest: _LatestResult | None = None
        self.frames = self.dropped = 0
        self._jpeg: tuple[int, bytes] = (-1, b"")
        self._encoding = threading.Lock()
        self._watchers: tuple[asyncio.AbstractEventLoop, set[asyncio.Event]] | None = None

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        self.frames += 1
        self.dropped += result.frame.dropped
        self.newest = _LatestResult(self.frames, result, time.monotonic())
        self._view.count(self.name, result)
        if self._watchers:
            loop, waiting = self._watchers
            with suppress(RuntimeError):  # the page is closed
                loop.call_soon_threadsafe(_wake, waiting)

    async def pictures(self) -> AsyncIterator[_LatestResult | None]:
        """Yield the newest frame each time. Without a new one, yield None every `LOOK_S` seconds."""
        if self._watchers is None:
            self._watchers = asyncio.get_running_loop(), set()
        fresh, seen = asyncio.Event(), 0
        waiting = self._watchers[1]
        waiting.add(fresh)
        try:
            while True:
                fresh.clear()
                shown = self.newest
                if shown and shown.number != seen:
                    seen = shown.number
                    yield shown
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(fresh.wait(), LOOK_S)
                    continue
                yield None
        finally:
            waiting.discard(fresh)

    def jpeg(self, shown: _LatestResult) -> bytes:
        """The frame as JPEG, encoded once for all viewers."""
        with self._encoding:
            if self._jpeg[0] != shown.number:
                picture = shown.result.draw(min_score=self._view.min_score)
                h, w = picture.shape[:2]
                scale = min(1.0, PAGE_MAX_SIDE_PX / max(h, w))
                size = max(1, round(scale * w)), max(1, round(scale * h))
                picture = picture if scale == 1 else np.asarray(cv2.resize(picture, size), np.uint8)
                data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
                self._jpeg = shown.number, data.tobytes()
            return self._jpeg[1]

    def state(self) -> dict[str, Any]:
        """The state of this panel, for the page."""
        shown = self.newest
        if shown is None:
            return {"name": self.name, "frames": 0}
        times = shown.result.times
        return {
            "name": self.name,
            "frames": self.frames,
            "dropped": self.dropped,
            "people": len(shown.result),
            "silent_s": round(time.monotonic() - shown.at, 1),
            "latency_ms": {k: round(getattr(times, k), 2) for k in (*STAGES, "total", "read")},
        }

    def close(self) -> None:
        """Do nothing: the view closes all panels."""


class WebView:
    """Serves the page from a separate thread. A context manager.

    A browser gets the newest frame whenever it is ready for one, so a slow browser never delays the run.
    Frames are drawn and encoded here, only while a browser is watching.

    Args:
        host: The address to listen on. Any other than the loopback requires a token.
        port: The port; 0 for any free port.
        token: A secret that browsers must send. It is optional on the loopback.
        min_score: Keypoints with a lower score are not drawn, in 0..1.

    Raises:
        BadInput: The address cannot be used or needs a token.
    """

    def __init__(
        self, host: str = LOOPBACK, port: int = 0, token: str = "", min_score: float = MIN_SCORE
    ) -> None:
        if not token and not is_loopback(host):
            raise BadInput(
                f"{host}:{port} shows the pictures to the whole network: add `token` SECRET, "
                "or leave the host out"
            )
        import uvicorn

        from hrpose_rt.sinks.prometheus import Metrics

        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        except OSError as error:
            raise BadInput(
                f"{host}:{port} cannot be used ({os.strerror(error.errno or 0)}): choose another port"
            ) from error
        self._token, self.min_score = token, min_score
        self._panels: dict[str, StreamPanel] = {}
        self._costs: dict[int, Histogram] = {}
        self._metrics = Metrics()
        self._lock = threading.Lock()
        shown = f"[{host}]" if ":" in host else host
        query = f"/?token={quote(token)}" if token else "/"
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}{query}"
        for logger in ("uvicorn", "asyncio"):  # keep bad requests out of the terminal
            logging.getLogger(logger).addHandler(logging.NullHandler())
        page = (files("hrpose_rt.sinks") / "web.html").read_text()
        config = uvicorn.Config(
            self._app(page),
            http=limited_protocol(),
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws="none",
            headers=answer_headers(page),
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    def panel(self, key: str, name: str) -> StreamPanel:
        """The panel of `key` on the page, new or taken over from the previous source."""
        with self._lock:
            if key in self._panels:
                self._metrics.forget(self._panels[key].name)
            panel = self._panels.setdefault(key, StreamPanel(self, name))
            panel.name = name
            return panel

    def count(self, name: str, result: FrameResult) -> None:
        """Count a finished frame of the source `name`."""
        with self._lock:
            self._costs.setdefault(len(result), Histogram()).add(result.times.total)
        self._metrics.add(name, result)

    def state(self) -> dict[str, Any]:
        """All that the page shows besides frames. `costs` has people, frames, p50 and p95 in ms."""
        with self._lock:
            panels = list(self._panels.values())
            costs = [
                [people, h.count, round(h.percentile(50), 2), round(h.percentile(95), 2)]
                for people, h in sorted(self._costs.items())
            ]
        return {"panels": [panel.state() for panel in panels], "costs": costs}

    def _app(self, page: str) -> Any:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import (
            HTMLResponse,
            JSONResponse,
            PlainTextResponse,
            Response,
            StreamingResponse,
        )
        from starlette.routing import Route

        def home(request: Request) -> Response:
            return HTMLResponse(page)

        def state(request: Request) -> Response:
            return JSONResponse(self.state())

        def live(request: Request) -> Response:
            panels = {str(i): panel for i, panel in enumerate(list(self._panels.values()))}
            panel = panels.get(request.path_params["number"])
            if panel is None:
                return PlainTextResponse("no such picture", status_code=404)
            kind = "multipart/x-mixed-replace; boundary=picture"
            return StreamingResponse(self._pictures(panel), media_type=kind)

        def metrics(request: Request) -> Response:
            return PlainTextResponse(self._metrics.text(), media_type="text/plain; version=0.0.4")

        async def healthz(request: Request) -> Response:  # reveals nothing, so it needs no token
            return PlainTextResponse("ok\n")

        def guarded(answer: Any) -> Any:
            async def check(request: Request) -> Response:
                if why := refusal(request.query_params, request.headers, self._token):
                    return PlainTextResponse(why, status_code=403)
                response: Response = answer(request)
                return response

            return check

        shown = {"/": home, "/state": state, "/live/{number}": live, "/metrics": metrics}
        routes = [Route(path, guarded(answer)) for path, answer in shown.items()]
        return Starlette(routes=[*routes, Route("/healthz", healthz)])

    async def _pictures(self, panel: StreamPanel) -> AsyncIterator[bytes]:
        """Yield the newest frame whenever the browser is ready for one."""
        yield BOUNDARY
        async for shown in panel.pictures():
            if self._server.should_exit:
                return
            if shown is None:
                continue
            data = await asyncio.to_thread(panel.jpeg, shown)
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            # Send the next boundary too. Without it browsers hold the frame back.
            yield head + data + b"\r\n" + BOUNDARY

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout=3)
        self._socket.close()

    def __enter__(self) -> "WebView":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _wake(waiting: set[asyncio.Event]) -> None:
    for fresh in waiting:
        fresh.set()
