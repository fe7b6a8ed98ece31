"""Encoders of saved videos: what is taken when a GPU is or is not there."""

from types import SimpleNamespace

import av
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sinks import encoders
from hrpose_rt.sinks.encoders import NVENC, X264, Encoder, check_encoder, find_encoder
from hrpose_rt.sinks.video import VideoSink
from tests.conftest import no_gpu
from tests.sinks.test_video import info, results

SIZE = (64, 48)


@pytest.fixture(autouse=True)
def asked_anew():
    encoders._why_not.cache_clear()
    yield
    encoders._why_not.cache_clear()


@no_gpu
def test_missing_gpu_encoder_falls_back_to_x264_and_says_so(capsys) -> None:
    assert find_encoder("nvenc", SIZE) is X264
    said = capsys.readouterr().err
    assert said == "the video is encoded on the CPU: no NVIDIA driver sees a GPU here\n"


@no_gpu
def test_auto_and_x264_say_nothing(capsys) -> None:
    assert find_encoder("auto", SIZE) is find_encoder("x264", SIZE) is X264
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["nvenc", "auto"])
def test_gpu_encoder_is_tried_in_the_size_of_the_video(name: str, monkeypatch, capsys) -> None:
    tried: list[tuple[str, int, int, str]] = []

    def create(codec: str, mode: str) -> SimpleNamespace:
        context = SimpleNamespace(width=0, height=0, pix_fmt="", time_base=None)
        context.open = lambda: tried.append((codec, context.width, context.height, context.pix_fmt))
        return context

    monkeypatch.setattr(encoders, "nvidia_gpus", lambda: ["a GPU"])
    monkeypatch.setattr(av, "CodecContext", SimpleNamespace(create=create))
    assert find_encoder(name, (1280, 720)) is NVENC
    assert tried == [("h264_nvenc", 1280, 720, "yuv420p")] and capsys.readouterr().err == ""


def test_ffmpeg_without_the_encoder_is_named(monkeypatch) -> None:
    assert encoders._why_not("h264_bogus", SIZE) == "PyAV's FFmpeg was built without h264_bogus"
    assert "does not start here for 1x1 (" in encoders._why_not("libx264", (1, 1))


def test_unknown_encoder_raises_bad_input() -> None:
    with pytest.raises(BadInput, match="there is no `encoder` h265: choose x264, nvenc, auto"):
        check_encoder("h265")


def test_saved_video_uses_the_encoder_that_is_found(tmp_path, monkeypatch) -> None:
    asked = []

    def find(name: str, size_wh: tuple[int, int]) -> Encoder:
        asked.append((name, size_wh))
        return Encoder("libx264", {"profile": "baseline"})

    monkeypatch.setattr("hrpose_rt.sinks.video.find_encoder", find)
    sink = VideoSink(tmp_path / "out.mp4", info((65, 48)), encoder="auto")
    for result in results(3, (65, 48)):
        sink.write(result, result.frame.image)
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.profile, stream.width, stream.height) == ("Constrained Baseline", 64, 48)
        assert len(list(container.decode(stream))) == 3
    assert asked == [("auto", (64, 48))]
    with pytest.raises(BadInput, match="no `encoder` h265"):
        VideoSink(tmp_path / "other.mp4", info(), encoder="h265")
    assert not (tmp_path / "other.mp4").exists()
