"""Events arrive at a broker and at a web server, and passwords stay out of messages."""

import builtins
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.sinks import event_transports
from hrpose_rt.sinks.event_outbox import NotDelivered, Refused
from hrpose_rt.sinks.event_transports import MqttBroker, Webhook
from tests.sinks.broker import Broker
from tests.sinks.receivers import free_port


class Server:
    """A web server on the loopback that answers with these statuses, one after the other, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[tuple[str, str | None, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, self.headers["Authorization"], body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.close()


def test_webhook_posts_json_with_the_login_in_a_header(server) -> None:
    Webhook(f"http://user:p%40ss@127.0.0.1:{server.port}/hook?key=1").send(b"{}")
    assert server.requests == [("/hook?key=1", "Basic dXNlcjpwQHNz", b"{}")]  # user:p@ss


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, NotDelivered), (503, NotDelivered), (429, NotDelivered), (404, Refused), (302, Refused)],
)
def test_webhook_tells_later_from_never(server, status, error) -> None:
    server.statuses = [status]
    with pytest.raises(error, match=f"^HTTP {status}$"):
        Webhook(f"http://127.0.0.1:{server.port}/").send(b"{}")
    assert len(server.requests) == 1


def test_webhook_without_a_server_is_not_delivered_and_shows_no_address() -> None:
    with pytest.raises(NotDelivered, match=r"^Connection refused$"):
        Webhook(f"http://user:secret@127.0.0.1:{free_port()}/secret").send(b"{}")


def test_webhook_refuses_other_protocols() -> None:
    with pytest.raises(BadInput, match="`webhook` is no address to send to: give https://HOST/PATH"):
        Webhook("file:///etc/passwd")


def test_mqtt_publishes_to_the_topic_with_the_login(broker) -> None:
    client = MqttBroker(f"mqtt://user:p%40ss@127.0.0.1:{broker.port}/cameras/1")
    client.send(b"first")
    client.send(b"second")
    client.close()
    assert broker.messages == [("cameras/1", b"first"), ("cameras/1", b"second")]
    assert broker.logins == [("user", "p@ss")]


def test_mqtt_connects_again_after_a_break(broker) -> None:
    client = MqttBroker(f"mqtt://127.0.0.1:{broker.port}/t")
    client.send(b"first")
    broker.close()
    with pytest.raises(NotDelivered):
        client.send(b"lost")
    again = Broker(broker.port)
    client.send(b"second")
    client.close()
    again.close()
    assert again.messages == [("t", b"second")]


def test_mqtt_says_why_a_broker_refuses() -> None:
    broker = Broker(answer=5)
    client = MqttBroker(f"mqtt://user:secret@127.0.0.1:{broker.port}/t")
    with pytest.raises(NotDelivered, match=r"^Not authorized$"):
        client.send(b"{}")
    broker.close()


def test_mqtt_without_a_broker_is_not_delivered() -> None:
    with pytest.raises(NotDelivered, match=r"^Connection refused$"):
        MqttBroker(f"mqtt://user:secret@127.0.0.1:{free_port()}/t").send(b"{}")


def test_mqtt_broker_that_never_answers_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(event_transports, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = MqttBroker(f"mqtt://127.0.0.1:{silent.getsockname()[1]}/t")
        with pytest.raises(NotDelivered, match=r"no answer within 0.3 s"):
            client.send(b"{}")


@pytest.mark.parametrize("url", ["mqtt://host", "mqtt://host/", "mqtt://host/a/+", "mqtt://host/a/#"])
def test_mqtt_needs_a_topic(url) -> None:
    with pytest.raises(BadInput, match=r"`mqtt` needs a topic without \+ and #: give mqtt://"):
        MqttBroker(url)


def test_mqtt_without_its_library_names_the_extra(monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("paho"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeMissing, match=r"`mqtt` needs paho-mqtt: pip install -e '\.\[live\]'"):
        MqttBroker("mqtt://host/topic")
