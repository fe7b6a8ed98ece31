"""A video keeps its sound when it is annotated."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from hrpose_rt.cli.outputs import picture_output
from hrpose_rt.config import Clip
from hrpose_rt.sources.open import open_source
from hrpose_rt.types import Frame
from tests.fakes import RUN
from tests.sinks.test_video import play, results


def write_talkie(path: Path, codec: str = "aac", seconds: float = 2.0, heard_s: float = 2.0) -> Path:
    """A video of 64x48 at 10 a second that hums; `heard_s` of its `seconds` have sound."""
    with av.open(str(path), "w") as out:
        video, sound = out.add_stream("libx264", rate=10), out.add_stream(codec, rate=48_000, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for i in range(round(10 * seconds)):
            out.mux(
                video.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), i % 250, np.uint8), "bgr24"))
            )
        out.mux(video.encode(None))
        wave = np.sin(np.arange(round(heard_s * 48_000)) / 20)
        kind, scale = ("s16", 20_000) if codec == "pcm_s16le" else ("fltp", 0.5)
        for i in range(0, len(wave), 1024):
            part = (scale * wave[None, i : i + 1024]).astype(np.int16 if kind == "s16" else np.float32)
            frame = av.AudioFrame.from_ndarray(part, kind, "mono")
            frame.rate, frame.pts, frame.time_base = 48_000, i, Fraction(1, 48_000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def packets(path: Path) -> list[tuple[float, bytes]]:
    """When each packet of the sound is heard, and what is in it."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        found = [packet for packet in container.demux(audio=0) if packet.size]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in found]


def annotate(video: Path, save: Path, clip: Clip = Clip(), audio: bool = True) -> list[Frame]:
    with open_source(str(video), clip) as source:
        frames = list(source)
        target = picture_output(str(save), source, "out", several=False, audio=audio)
        sink = target.open(RUN)
        for frame, result in zip(
            frames, results(len(frames), times=[f.time_s for f in frames]), strict=True
        ):
            sink.write(result, frame.image)
        sink.close()
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_audio_packets_are_copied_with_timestamps(tmp_path, suffix) -> None:
    video = write_talkie(tmp_path / f"video{suffix}")
    annotate(video, tmp_path / "out.mp4")
    wanted = [(time, data) for time, data in packets(video) if 0 <= time < 2]
    found = packets(tmp_path / "out.mp4")
    assert [data for _, data in found] == [data for _, data in wanted]
    np.testing.assert_allclose([t for t, _ in found], [t for t, _ in wanted], atol=2e-3)
    assert len(play(tmp_path / "out.mp4")) == 20


def test_audio_is_cut_to_clip(tmp_path) -> None:
    video = write_talkie(tmp_path / "video.mp4")
    frames = annotate(video, tmp_path / "out.mp4", Clip(start=0.5, end=1.2))
    assert [frame.index for frame in frames] == list(range(5, 12))
    wanted = [(time, data) for time, data in packets(video) if 0.5 <= time < 1.2]
    found = packets(tmp_path / "out.mp4")
    assert [data for _, data in found] == [data for _, data in wanted]
    # An mp4 in fragments begins each stream at 0, so the first packet lasts until the second.
    times = [time - 0.5 for time, _ in wanted[1:]]
    np.testing.assert_allclose([time for time, _ in found[1:]], times, atol=2e-3)


def test_audio_ending_early_does_not_hold_back_video(tmp_path) -> None:
    video = write_talkie(tmp_path / "video.mp4", seconds=8.0, heard_s=0.5)
    with open_source(str(video)) as source:
        frames = list(source)
        sink = picture_output(str(tmp_path / "out.mp4"), source, "out", several=False).open(RUN)
        for frame, result in zip(
            frames, results(len(frames), times=[f.time_s for f in frames]), strict=True
        ):
            sink.write(result, frame.image)
        there = (tmp_path / "out.mp4").read_bytes()  # as after a kill
        sink.close()
    (tmp_path / "killed.mp4").write_bytes(there)
    assert len(play(tmp_path / "killed.mp4", to_the_end=False)) > 60


def test_audio_is_left_out_on_request_or_for_unsupported_codec(tmp_path, capsys) -> None:
    annotate(write_talkie(tmp_path / "video.mp4"), tmp_path / "out.mp4", audio=False)
    assert packets(tmp_path / "out.mp4") == []
    assert capsys.readouterr().err == ""
    annotate(write_talkie(tmp_path / "video.mkv", "pcm_s16le"), tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4") == []
    assert "is left out: an mp4 holds no pcm_s16le" in capsys.readouterr().err
