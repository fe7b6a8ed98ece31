"""Network addresses: which schemes can be played, and how to show an address without its password."""

import re
from urllib.parse import urlsplit

from hrpose_rt.errors import BadInput

SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt"})
PLAYABLE = "rtsp, rtmp, http(s), udp, tcp and srt"
HIDDEN = "..."
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d*)?(/.*)?", re.DOTALL)


def is_url(name: str) -> bool:
    """Whether a name is an address rather than a path."""
    return "://" in name


def redacted(name: str) -> str:
    """Remove the user, password and values from an address, so that it can be printed and written.

    Everything before the last `@` is removed, because a password may hold any character. The fragment and
    the values in the query and the path (some cameras use `/user=admin&password=...`) are removed too. If
    an `@` may belong to the password or to the query, only the protocol is kept. File names are unchanged.
    """
    scheme_match = _SCHEME.match(name)
    if not scheme_match:
        # This may be an address without its protocol, perhaps from a list. File names seldom look like one.
        rest = name.rpartition("@")[2] if re.search(":.*@", name, re.DOTALL) else name
        return _without_values(rest) if re.search(r"[?&]\w+=", rest) else rest
    scheme, rest = scheme_match.group(), name[scheme_match.end() :]
    login, at, address = rest.rpartition("@")
    if at and "?" in login and _HOST.fullmatch(login.partition("?")[0]):
        return scheme + HIDDEN
    return scheme + _without_values(address)


def _without_values(rest: str) -> str:
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    path = re.sub(r"=.*", f"={HIDDEN}", path, flags=re.DOTALL)
    parts = [key + equals for key, equals, _ in (part.partition("=") for part in re.split("[&;]", query))]
    shown = "&".join(part + HIDDEN if part.endswith("=") else HIDDEN for part in parts)
    return path + question + (shown if question else "")


def stem_of(url: str) -> str:
    """The host, as a name for output files."""
    try:
        host = urlsplit(redacted(url)).hostname or ""
    except ValueError:  # an unmatched bracket
        host = ""
    return host.strip(".").replace(".", "-").replace(":", "-") or "stream"


def check_address(url: str) -> None:
    """Raise BadInput if the scheme is not supported or the user name or password has a bracket."""
    if url.partition("://")[0].lower() not in SCHEMES:
        raise BadInput(f"{redacted(url)} is no address that can be played: {PLAYABLE} can")
    authority = re.split("[/?#]", url.partition("://")[2])[0]
    odd = next((c for c in authority.rpartition("@")[0] if c in "[]"), None)
    if odd:
        raise BadInput(
            f"{redacted(url)} has a {odd} in its user name or password: write it {_escaped(odd)}"
        )


def hint(url: str) -> str:
    """How to fix an address that did not open; some characters end a password for FFmpeg."""
    login = url.partition("://")[2].rpartition("@")[0]
    odd = next((c for c in login if c in "#/?[]"), None)
    return f"a {odd} in a password is written {_escaped(odd)}" if odd else "check the address"


def _escaped(character: str) -> str:
    return f"%{ord(character):02X}"
