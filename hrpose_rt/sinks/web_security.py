"""Access to the web page: the token, limits on connections, and security headers."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hrpose_rt.hardware import open_files_limit

MAX_CONNECTIONS = 256
DESCRIPTORS = 4  # at most one in this many file descriptors is for a connection
REQUEST_S = 10.0  # time limit for receiving a request


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(asked: Mapping[str, str], headers: Mapping[str, str], token: str) -> str:
    """The reason to refuse a request; empty if it is allowed.

    Args:
        asked: The query of the address.
        headers: The headers of the request, with names in lower case.
        token: The secret that the query must have; empty if only this machine has access.
    """
    site = headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none") and headers.get("sec-fetch-dest") != "document":
        return "pages of other sites may not show this"
    if token:
        good = hmac.compare_digest(asked.get("token", "").encode(), token.encode())
        return "" if good else "the address must end in ?token= and the token that the run was given"
    # Without a token only this machine has access, and no page of another site in its browsers.
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or "nobody"
    except ValueError:
        host = "this Host"
    return "" if is_loopback(host) else f"{host} is not this machine"


def answer_headers(page: str) -> list[tuple[str, str]]:
    """Headers of every response. Only the page's own script and style run; no other page can embed it."""
    policy = {
        "default-src": "'none'",
        "script-src": _hashes(page, "script"),
        "style-src": _hashes(page, "style"),
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return [
        ("Content-Security-Policy", "; ".join(f"{name} {value}" for name, value in policy.items())),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),  # the address may hold the token
        ("Cache-Control", "no-store"),
        ("Connection", "close"),  # one request per connection, so that its time is limited
    ]


def _hashes(page: str, tag: str) -> str:
    blocks = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    sums = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in blocks)
    return " ".join(f"'sha256-{one}'" for one in sums)


def limited_protocol(request_s: float = REQUEST_S) -> type[asyncio.Protocol]:
    """An HTTP protocol for uvicorn that limits the connections and the seconds to receive a request."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    files = open_files_limit()
    most = MAX_CONNECTIONS if files is None else min(MAX_CONNECTIONS, max(1, files // DESCRIPTORS))

    class Limited(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
                return
            self._late = self.loop.call_later(request_s, self._end_if_late)

        def _end_if_late(self) -> None:
            if self.cycle is None:  # no request has arrived yet
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._late:
                self._late.cancel()
            super().connection_lost(exc)

    return Limited
