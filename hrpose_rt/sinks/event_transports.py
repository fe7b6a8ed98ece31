"""Ways to deliver an event: an MQTT broker, and a webhook."""

import base64
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.sinks.endpoints import parse_endpoint
from hrpose_rt.sinks.event_outbox import NotDelivered, Refused

TIMEOUT_S = 5.0  # how long an answer may take
WEBHOOKS = {"https": "https://HOST/PATH", "http": "http://HOST/PATH"}
BROKERS = {"mqtt": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC", "mqtts": "mqtts://HOST/TOPIC"}
PORTS = {"mqtt": 1883, "mqtts": 8883}
LATER = {408, 425, 429}  # HTTP statuses, besides 5xx, after which a request may succeed later


class Webhook:
    """Posts every event as JSON over HTTP. Redirects are not followed.

    Args:
        url: http or https, with a user and a password if the server wants them.

    Raises:
        BadInput: It is no such address.
    """

    def __init__(self, url: str) -> None:
        self.target = target = parse_endpoint("webhook", url, WEBHOOKS)
        parts = urlsplit(url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._headers = {"Content-Type": "application/json", "User-Agent": "hrpose-rt"}
        if target.user or target.password:
            login = base64.b64encode(f"{target.user}:{target.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, payload: bytes) -> None:
        """See `Transport.send`."""
        request = urllib.request.Request(self._url, payload, self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            error.close()
            later = error.code >= 500 or error.code in LATER
            raise (NotDelivered if later else Refused)(f"HTTP {error.code}") from None
        except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
            # The texts of these errors may hold the address.
            reason = getattr(error, "reason", error)
            raise NotDelivered(getattr(reason, "strerror", None) or type(reason).__name__) from None

    def close(self) -> None:
        """Do nothing: each event has its own connection."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to the caller, as an error: a POST would become a GET without the event."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class MqttBroker:
    """Publishes every event as JSON to a topic of an MQTT broker, with quality of service 1.

    Args:
        url: mqtt, or mqtts for TLS, with the topic as its path.

    Raises:
        BadInput: It is no such address, or has no topic to publish to.
        RuntimeMissing: paho-mqtt is not installed.
    """

    def __init__(self, url: str) -> None:
        self.target = parse_endpoint("mqtt", url, BROKERS)
        self._topic = unquote(self.target.path)
        if not self._topic or "+" in self._topic or "#" in url:
            raise BadInput(f"`mqtt` needs a topic without + and #: give {BROKERS['mqtt']}")
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError as error:
            raise RuntimeMissing(f"`mqtt` needs paho-mqtt: {install_hint('live')}") from error
        self._client: Any = None

    def send(self, payload: bytes) -> None:
        """See `Transport.send`."""
        if self._client is None or not self._client.is_connected():
            self.close()
            self._connect()
        try:
            message = self._client.publish(self._topic, payload, qos=1)
            message.wait_for_publish(TIMEOUT_S)
        except (RuntimeError, ValueError):
            message = None
        if message is None or not message.is_published():
            self.close()
            raise NotDelivered("the connection broke off")

    def _connect(self) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if self.target.user:
            client.username_pw_set(self.target.user, self.target.password or None)
        if self.target.scheme == "mqtts":
            client.tls_set()
        answered, reasons = threading.Event(), list[Any]()

        def connected(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            reasons.append(reason)
            answered.set()

        client.on_connect = connected
        client.connect_timeout = TIMEOUT_S
        try:
            client.connect(self.target.host, self.target.port or PORTS[self.target.scheme])
        except (OSError, ValueError) as error:
            raise NotDelivered(getattr(error, "strerror", None) or type(error).__name__) from None
        self._client = client
        client.loop_start()
        if not answered.wait(TIMEOUT_S) or reasons[0].is_failure:
            self.close()
            raise NotDelivered(str(reasons[0]) if reasons else f"no answer within {TIMEOUT_S:g} s")

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None
