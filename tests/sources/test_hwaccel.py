"""Decoding on a GPU: what is taken when one is or is not there."""

from pathlib import Path

import av
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sources import hwaccel
from hrpose_rt.sources.hwaccel import decoding_device
from hrpose_rt.sources.open import open_source
from tests.conftest import no_gpu, write_video


@pytest.fixture(autouse=True)
def asked_anew():
    hwaccel._found.cache_clear()
    yield
    hwaccel._found.cache_clear()


@no_gpu
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuda", "videos are decoded on the CPU: no NVIDIA driver sees a GPU here"),
        ("videotoolbox", "videos are decoded on the CPU: PyAV's FFmpeg was built without videotoolbox"),
        ("auto", ""),
        ("none", ""),
    ],
)
def test_missing_device_falls_back_to_the_cpu_and_says_so_once(name: str, words: str, capsys) -> None:
    if name in hwaccel.hwdevices_available() and name != "cuda":
        pytest.skip(f"{name} may be here")
    assert decoding_device(name) is None and decoding_device(name) is None
    said = capsys.readouterr().err
    assert said.startswith(words) and said.count("\n") == bool(words)


@no_gpu
def test_device_that_does_not_start_is_named(monkeypatch) -> None:
    if "cuda" not in hwaccel.hwdevices_available():
        pytest.skip("PyAV's FFmpeg has no cuda")
    monkeypatch.setattr(hwaccel, "nvidia_gpus", lambda: ["a GPU with another driver"])
    assert hwaccel._why_not("cuda").startswith("cuda does not start here (")


@no_gpu
def test_frames_are_the_same_after_falling_back(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5)
    found = []
    for name in ("none", "cuda"):
        with open_source(path, hwaccel=name) as source:
            found.append([frame.image.mean() for frame in source])
    assert found[0] == found[1] and len(found[0]) == 5


@pytest.mark.parametrize("name", ["vaapi", "auto"])
def test_device_that_is_here_is_given_to_ffmpeg(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(hwaccel, "hwdevices_available", lambda: ["vaapi"])
    made: list[str] = []

    class Device:
        """A device that starts."""

        def __init__(self, kind: str) -> None:
            made.append(kind)

        def create(self, codec: object) -> None:
            pass

    monkeypatch.setattr(hwaccel, "HWAccel", Device)
    given = []
    real = av.open

    def spy(*args: object, hwaccel: object = None, **how: object) -> object:
        given.append(hwaccel)
        return real(*args, **how)

    monkeypatch.setattr(av, "open", spy)
    with open_source(write_video(tmp_path / "a.mp4", frames=3), hwaccel=name) as source:
        assert len(list(source)) == 3
    assert isinstance(given[-1], Device) and set(made) == {"vaapi"}
    assert capsys.readouterr().err == ""


def test_device_without_the_codec_is_named(monkeypatch) -> None:
    monkeypatch.setattr(hwaccel, "hwdevices_available", lambda: ["drm"])
    assert hwaccel._why_not("drm") == "PyAV's FFmpeg decodes no h264 with it"


def test_unknown_device_raises_bad_input() -> None:
    with pytest.raises(BadInput, match="there is no `hwaccel` gpu: choose none, auto, cuda, vaapi"):
        open_source("video.mp4", hwaccel="gpu")
