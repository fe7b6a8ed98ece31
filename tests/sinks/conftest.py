"""A page for browsers, open while a test runs."""

from collections.abc import Iterator

import pytest

from hrpose_rt.sinks.web import WebView


@pytest.fixture
def view() -> Iterator[WebView]:
    with WebView() as view:
        yield view
