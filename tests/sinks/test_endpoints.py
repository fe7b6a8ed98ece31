"""Addresses are taken apart, and their secrets stay out of texts."""

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.endpoints import parse_endpoint

EXAMPLES = {"mqtt": "mqtt://HOST/TOPIC", "https": "https://HOST/PATH"}


def test_endpoint_has_the_parts_of_an_address() -> None:
    endpoint = parse_endpoint("mqtt", "MQTT://us%40er:p%2Fw@broker:1884/a/b", EXAMPLES)
    parts = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.user, endpoint.password, endpoint.path)
    assert parts == ("mqtt", "broker", 1884, "us@er", "p/w", "a/b")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:password@host/secret?token=secret#secret", "https://host"),
        ("mqtt://password@host:1883/secret", "mqtt://host:1883"),
        ("https://[::1]:8443/secret", "https://[::1]:8443"),
    ],
)
def test_endpoint_as_text_has_no_secret(url, text) -> None:
    endpoint = parse_endpoint("webhook", url, EXAMPLES)
    assert str(endpoint) == text
    assert "secret" not in repr(endpoint) and "password" not in repr(endpoint).replace("password=", "")


@pytest.mark.parametrize("url", ["", "secret", "ftp://secret@host", "mqtt:///secret", "mqtt://[secret"])
def test_endpoint_of_another_kind_is_refused_without_repeating_it(url) -> None:
    words = "`mqtt` is no address to send to: give mqtt://HOST/TOPIC or https://HOST/PATH"
    with pytest.raises(BadInput) as raised:
        parse_endpoint("mqtt", url, EXAMPLES)
    assert str(raised.value) == words
