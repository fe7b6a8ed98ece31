"""A small MQTT broker for tests: it accepts clients and confirms what they publish."""

import socket
import struct
import threading
from contextlib import suppress


class Broker:
    """Listens on the loopback and keeps the messages that were published.

    Source of the packets: MQTT 5.0 and 3.1.1, sections 3.1 to 3.4.

    Args:
        port: Where it listens; 0 for any free port.
        answer: The code of its answer to a connection; 5 is "not authorized".
    """

    def __init__(self, port: int = 0, answer: int = 0) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.logins: list[tuple[str, str]] = []
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._server.accept()[0]
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError), connection.makefile("rb") as stream:
            while True:
                kind, body = self._packet(stream)
                if kind >> 4 == 1:  # CONNECT
                    self._connect(body)
                    connection.sendall(bytes([0x20, 2, 0, self._answer]))
                elif kind >> 4 == 3:  # PUBLISH
                    size = struct.unpack("!H", body[:2])[0]
                    self.messages.append((body[2 : 2 + size].decode(), body[4 + size :]))
                    connection.sendall(b"\x40\x02" + body[2 + size : 4 + size])

    def _connect(self, body: bytes) -> None:
        flags, texts, rest = body[7], [], body[10:]
        while rest:
            size = struct.unpack("!H", rest[:2])[0]
            texts.append(rest[2 : 2 + size].decode())
            rest = rest[2 + size :]
        if flags & 0xC0:
            self.logins.append((texts[1], texts[2]))

    @staticmethod
    def _packet(stream) -> tuple[int, bytes]:
        kind = stream.read(1)
        if not kind:
            raise EOFError
        size = shift = 0
        while True:
            byte = stream.read(1)[0]
            size |= (byte & 127) << shift
            if byte < 128:
                return kind[0], stream.read(size)
            shift += 7

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
