"""The window."""

import sys

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.window import WindowSink


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_without_a_screen_there_is_a_sentence(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(
        BadInput, match=r"--show needs a screen and there is none here: use --save out\.mp4"
    ):
        WindowSink("title")
