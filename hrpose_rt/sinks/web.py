"""A web page that shows the run: live frames, stages, and latency by number of people."""

import asyncio
import json
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.errors import BadInput
from hrpose_rt.result import FrameResult, latency_field
from hrpose_rt.sinks.web_panel import LOOK_S, Bell, StreamPanel
from hrpose_rt.sinks.web_security import answer_headers, is_loopback, limited_protocol, refusal
from hrpose_rt.timing import Histogram, LatencyTable
from hrpose_rt.types import STAGES

LOOPBACK = "127.0.0.1"
SEND_BYTES = 2**18  # send buffer for a browser; a larger one would hold old frames
BOUNDARY = b"--picture\r\n"


def parse_address(text: str) -> tuple[str, int]:
    """Parse `[HOST:]PORT` into host and port. Without a host, only this machine can connect."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"`serve` {text} has no port: give PORT or HOST:PORT, such as 8000")
    return host.strip("[]") or LOOPBACK, int(port)


class WebView:
    """Serves the page from a separate thread. A context manager.

    A browser gets the newest frame whenever it is ready for one, so a slow browser never delays the run.
    Frames are drawn and encoded here, only while a browser is watching.

    Args:
        host: The address to listen on. Any other than the loopback requires a token.
        port: The port; 0 for any free port.
        token: A secret that browsers must send. It is optional on the loopback.
        style: How frames are drawn; without the panel and trails, which the page does not need.

    Attributes:
        facts: What the report says of the run besides its figures, such as its networks.

    Raises:
        BadInput: The address cannot be used or needs a token.
    """

    def __init__(
        self, host: str = LOOPBACK, port: int = 0, token: str = "", style: DrawStyle = DRAW_STYLE
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
        self.facts: dict[str, Any] = {}
        self._token, self._style = token, replace(style, panel=False, trails_s=0.0)
        self._panels: dict[str, StreamPanel] = {}
        self._costs: dict[int, Histogram] = {}
        self._frames: Counter[str] = Counter()
        self._table, self._latency = LatencyTable(), latency_field(False)
        self._ending = Bell()
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
                self._panels[key].begin(name)
            self._frames.setdefault(name, 0)
            return self._panels.setdefault(key, StreamPanel(name, self._style, self.count))

    def count(self, name: str, result: FrameResult) -> None:
        """Count a finished frame of the source `name`."""
        with self._lock:
            self._costs.setdefault(len(result), Histogram()).add(result.times.total)
            self._frames[name] += 1
            self._table.add(len(result), result.times)
            self._latency = latency_field(result.shared)
        self._metrics.add(name, result)

    def state(self) -> dict[str, Any]:
        """All that the page shows besides pictures. `costs` has people, frames, p50 and p95 in ms."""
        with self._lock:
            panels = list(self._panels.values())
            costs = [
                [people, h.count, round(h.percentile(50), 2), round(h.percentile(95), 2)]
                for people, h in sorted(self._costs.items())
            ]
        return {"panels": [panel.state() for panel in panels], "costs": costs}

    def report(self) -> dict[str, Any]:
        """The facts, frames of every source, and latencies by number of people, as in a run's report."""
        known = ("frames", *STAGES, "total", "read")  # the others are measured after the page got a frame
        with self._lock:
            bins = self._table.to_dict().items()
            return {
                "hrpose": version("hrpose-rt"),
                **self.facts,
                "frames": self._table.frames,
                "frames_by_source": dict(self._frames),
                self._latency: {label: {name: rows[name] for name in known} for label, rows in bins},
            }

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
            if "once" in request.query_params:
                return StreamingResponse(panel.picture(), media_type="image/jpeg")
            kind = "multipart/x-mixed-replace; boundary=picture"
            return StreamingResponse(self._pictures(panel), media_type=kind)

        def events(request: Request) -> Response:
            return StreamingResponse(self._states(), media_type="text/event-stream")

        def report(request: Request) -> Response:
            head = {"Content-Disposition": 'attachment; filename="hrpose-rt.json"'}
            return JSONResponse(self.report(), headers=head)

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

        shown = {"/": home, "/state": state, "/events": events, "/report": report}
        shown |= {"/live/{number}": live, "/metrics": metrics}
        routes = [Route(path, guarded(answer)) for path, answer in shown.items()]
        return Starlette(routes=[*routes, Route("/healthz", healthz)])

    async def _pictures(self, panel: StreamPanel) -> AsyncIterator[bytes]:
        """Yield the newest frame whenever the browser is ready for one."""
        yield BOUNDARY
        again = b""
        async for shown in panel.pictures():
            if shown:
                data = await asyncio.to_thread(panel.jpeg, shown)
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                again = head + data + b"\r\n" + BOUNDARY
                yield again
            elif self._server.should_exit:
                return
            elif again:  # browsers show a frame when the next one begins, so the last is sent twice
                yield again
                again = b""

    async def _states(self) -> AsyncIterator[str]:
        """Yield the state every `LOOK_S` seconds, and at the end the last one with the report."""
        while not self._server.should_exit:
            yield f"data: {json.dumps(self.state())}\n\n"
            if not self._server.should_exit:
                await self._ending.wait(LOOK_S)
        yield f"data: {json.dumps(self.state() | {'ended': True, 'report': self.report()})}\n\n"

    def close(self) -> None:
        """Send the last state to all browsers, then stop serving."""
        self._server.should_exit = True
        for bell in (self._ending, *(panel.new_frame for panel in self._panels.values())):
            bell.ring()
        self._thread.join(timeout=3)
        self._socket.close()

    def __enter__(self) -> "WebView":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
