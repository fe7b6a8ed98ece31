"""Calls to a Triton server over gRPC: deadlines, repetition while it is away, and its errors in words."""

import ipaddress
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hrpose_rt.backoff import backoff
from hrpose_rt.errors import BadInput, HrposeError, RunBroken, RuntimeMissing, install_hint, last_line
from hrpose_rt.run_info import Outages

CALL_S = 10.0  # deadline of a call, in seconds
ONCE_S = 1.0  # deadline of a call that the run can do without, in seconds
WAIT_S = 60.0  # how long a call is repeated while the server is away, in seconds
GRPC_PORT = 8001  # Triton's default
UNKNOWN_MODEL = "Request for unknown model"  # begin of Triton's words
TOKEN_VARIABLE = "HRPOSE_TRITON_TOKEN"
# The first is for proxies, the second for Triton's --grpc-restricted-protocol=...:authorization=TOKEN.
TOKEN_HEADERS = {"authorization": "Bearer {}", "triton-grpc-protocol-authorization": "{}"}
ROOTS_VARIABLE = "SSL_CERT_FILE"  # of OpenSSL: the certificates of authorities, instead of gRPC's own
_CHANNEL = (  # after a restart, calls should not wait for gRPC's own attempts to connect
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_send_message_length", -1),  # a crowd exceeds 4 MiB
    ("grpc.max_receive_message_length", -1),
)


class Refused(BadInput):
    """A server knows no such model or memory, or takes no such tensors."""


class _Away(Exception):
    """A server gave no answer; another attempt may get one."""


class TritonServer:
    """A connection to a Triton server.

    >>> server = TritonServer("grpc://127.0.0.1:8001", lambda text: None)
    >>> server.on_this_machine
    True
    >>> server.close()

    Args:
        url: grpc://HOST:PORT, or grpcs:// for TLS.
        progress: Called with a text when the server is away, and when it is back.
        outages: Counts how often and how long it is away.
        call_s, wait_s: Deadline of a call, and how long it is repeated, in seconds.

    Raises:
        BadInput: The address is wrong, or a token would be sent without encryption.
        RuntimeMissing: tritonclient is not installed.
    """

    def __init__(
        self,
        url: str,
        progress: Callable[[str], None],
        outages: Outages | None = None,
        call_s: float = CALL_S,
        wait_s: float = WAIT_S,
    ) -> None:
        target, encrypted = parse_url(url)
        self.url, self.on_this_machine = url, _is_loopback(target)
        token = os.environ.get(TOKEN_VARIABLE, "").strip()  # a file of a secret often ends with a line feed
        if not (token.isascii() and token.isprintable()):
            raise BadInput(f"{TOKEN_VARIABLE} has characters that no header can have: set it again")
        if token and not (encrypted or self.on_this_machine):
            raise BadInput(f"{TOKEN_VARIABLE} would cross the network in clear text: use grpcs:// in `url`")
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it reports each lost connection
        try:
            import grpc
            from tritonclient.grpc import service_pb2
            from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
        except ImportError as error:
            raise RuntimeMissing(
                f"`runtime` triton needs tritonclient ({error}): {install_hint('triton')}"
            ) from error
        self._metadata = [(key, text.format(token)) for key, text in TOKEN_HEADERS.items() if token]
        if encrypted:
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(_roots()), _CHANNEL)
        else:
            self._channel = grpc.insecure_channel(target, _CHANNEL)
        self._stub, self.messages = GRPCInferenceServiceStub(self._channel), service_pb2
        self._progress, self._call_s, self._wait_s = progress, call_s, wait_s
        self.outages = Outages() if outages is None else outages

    def call(self, method: str, request: Any) -> Any:
        """Make a call and return the answer; it is repeated while the server is away.

        Args:
            method: Name of the method in Triton's gRPC service.
            request: Its message, one of `messages`.

        Raises:
            Refused: The server does not know what the call names, or does not take it.
            RunBroken: The server did not come back in time, or failed.
            BadInput: The server refuses the token.
        """
        try:
            return self._attempt(method, request, self._call_s)
        except _Away as away:
            reason = away
        begin = time.monotonic()
        self._progress(f"{self.url} {reason}: it is tried for {self._wait_s:g} s")
        for pause in backoff(self._wait_s):
            time.sleep(pause)
            try:
                answer = self._attempt(method, request, self._call_s)
            except _Away as away:
                reason = away
                continue
            except HrposeError:
                self._is_back(time.monotonic() - begin)
                raise
            self._is_back(time.monotonic() - begin)
            return answer
        raise RunBroken(
            f"{self.url} {reason}, {self._wait_s:g} s long: start the Triton server, or check `url`"
        ) from reason

    def _is_back(self, seconds: float) -> None:
        self.outages.add(seconds)
        self._progress(
            f"{self.url} answers after {seconds:.1f} s: no frame of a file is lost, live sources "
            "count those that they dropped"
        )

    def try_once(self, method: str, request: Any) -> bool:
        """Make a call that the run can do without; whether it succeeded."""
        try:
            self._attempt(method, request, ONCE_S)
        except (_Away, HrposeError):
            return False
        return True

    def _attempt(self, method: str, request: Any, deadline_s: float) -> Any:
        import grpc

        try:
            return getattr(self._stub, method)(request, timeout=deadline_s, metadata=self._metadata)
        except grpc.RpcError as error:
            code, details = error.code(), last_line(Exception(error.details() or ""))
            codes = grpc.StatusCode
            refuses_token = code == codes.UNAVAILABLE and "protocol is restricted" in details
            if refuses_token or code in (codes.UNAUTHENTICATED, codes.PERMISSION_DENIED):
                raise BadInput(f"{self.url} refuses the token: set {TOKEN_VARIABLE} to its own") from error
            if code in (codes.UNAVAILABLE, codes.CANCELLED):
                raise _Away(f"does not answer ({details.rpartition(': ')[2]})") from error
            # A server that is being stopped unloads its models first, and answers on.
            if code == codes.NOT_FOUND and method == "ModelInfer" and UNKNOWN_MODEL in details:
                raise _Away(f"no longer serves {request.model_name}") from error
            if code == codes.DEADLINE_EXCEEDED:
                raise _Away(f"does not answer within {deadline_s:g} s") from error
            if code in (codes.NOT_FOUND, codes.INVALID_ARGUMENT):
                raise Refused(details) from error
            raise RunBroken(f"{self.url} failed ({details}): its log says more") from error

    def close(self) -> None:
        """End the connection."""
        self._channel.close()


def parse_url(url: str) -> tuple[str, bool]:
    """Host and port of a Triton server, and whether the connection is encrypted.

    >>> parse_url("grpc://127.0.0.1:8001"), parse_url("grpcs://triton.example")
    (('127.0.0.1:8001', False), ('triton.example:8001', True))

    Raises:
        BadInput: It is no address of a Triton server.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or GRPC_PORT
    except ValueError:  # a port that is no number
        host = None
    else:
        beyond = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        host = None if beyond or parts.scheme not in ("grpc", "grpcs") else host
    if not host:
        shown = "one with a user or a password" if "@" in url else url
        raise BadInput(
            f"`url` is grpc://HOST:{GRPC_PORT}, or grpcs:// with TLS: the gRPC port of a Triton server, "
            f"not {shown}"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}", parts.scheme == "grpcs"


def _roots() -> bytes | None:
    path = os.environ.get(ROOTS_VARIABLE, "")
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise BadInput(f"{ROOTS_VARIABLE} {path} cannot be read ({error.strerror}): check it") from error


def _is_loopback(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
