"""The window."""

import sys

import cv2
import numpy as np
import pytest

from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.window import WindowClosed, WindowSink
from tests.sinks.test_video import results


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_window_without_display_raises_bad_input(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(
        BadInput, match=r"a window needs a screen and there is none here: use `save` out\.mp4"
    ):
        WindowSink("title")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_window_on_unreachable_display_raises_bad_input(monkeypatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":77")
    words = r"a window needs a screen and no window opens on :77: use `save` out\.mp4"
    with pytest.raises(BadInput, match=words):
        WindowSink("title")


class Screen:
    """Stands in for OpenCV's window: keys are pressed in turn, pictures are kept."""

    def __init__(self, monkeypatch, keys: str) -> None:
        self._keys = iter(keys)
        self.shown: list[np.ndarray] = []
        monkeypatch.setattr("hrpose_rt.sinks.window.why_no_screen", lambda: "")
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture.copy()))
        monkeypatch.setattr(cv2, "waitKey", self._key)

    def _key(self, _: int) -> int:
        key = next(self._keys, ".")
        return -1 if key == "." else ord(key)


def test_window_q_key_closes(monkeypatch) -> None:
    Screen(monkeypatch, ".q")
    sink, (first, second) = WindowSink("title"), results(2)
    sink.write(first, first.draw())
    with pytest.raises(WindowClosed):
        sink.write(second, second.draw())


def test_window_space_key_pauses_and_resumes(monkeypatch) -> None:
    screen = Screen(monkeypatch, " ... ")
    (result,) = results(1)
    WindowSink("title").write(result, result.draw())
    assert len(screen.shown) == 5


def test_window_q_key_closes_during_pause(monkeypatch) -> None:
    Screen(monkeypatch, " ..q")
    (result,) = results(1)
    with pytest.raises(WindowClosed):
        WindowSink("title").write(result, result.draw())


def test_window_s_key_saves_snapshots_without_overwriting(monkeypatch, tmp_path) -> None:
    screen = Screen(monkeypatch, " ss q")
    (result,) = results(1)
    sink = WindowSink("title", tmp_path)
    sink.write(result, result.draw())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["snapshot-000000-1.png", "snapshot-000000-2.png"]
    assert (cv2.imread(str(tmp_path / names[0])) == screen.shown[0]).all()


def test_window_b_key_toggles_boxes(monkeypatch) -> None:
    screen = Screen(monkeypatch, "b.b.")
    sink = WindowSink("title")
    (result,) = results(1)
    with_boxes = result.draw(style=DrawStyle(min_score=0))
    for _ in range(4):
        sink.write(result, with_boxes)
    same = [(picture == with_boxes).all() for picture in screen.shown]
    assert same == [True, False, False, True]
