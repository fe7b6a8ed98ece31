"""Addresses that results are sent to. Their secrets are never shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from hrpose_rt.errors import BadInput


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that results are sent to.

    As text it is the protocol, the host and the port alone: users, passwords, paths and queries may hold
    secrets, such as the key of a stream or of a webhook.

    Attributes:
        url: The whole address.
        scheme: The protocol, in lower case.
        host: The host.
        port: The port; None if the address has none.
        user, password: Empty if the address has none.
        path: What follows the host, without the slash.
    """

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int | None
    user: str = field(repr=False)
    password: str = field(repr=False)
    path: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")


def parse_endpoint(option: str, url: str, examples: Mapping[str, str]) -> Endpoint:
    """The parts of an address.

    Args:
        option: Names the argument in messages.
        url: The address.
        examples: An address for every protocol that is allowed.

    Raises:
        BadInput: It is none of these. The message does not repeat it, because it may hold a password.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in examples or not host:
        raise BadInput(f"`{option}` is no address to send to: give {' or '.join(examples.values())}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Endpoint(url, scheme, host, port, user, password, parts.path.removeprefix("/"))
