"""Video files, whole and broken."""

import math
import struct
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.open import open_source
from tests.conftest import write_video


def read(path: Path, **clip) -> list:
    with open_source(str(path), Clip(**clip)) as source:
        return list(source)


def levels(frames: list) -> list[int]:
    """The grey of each frame, in steps of twenty."""
    return [round(frame.image.mean() / 20) for frame in frames]


def test_video_gives_frames_with_index_and_timestamp(video) -> None:
    with open_source(str(video)) as source:
        frames = list(source)
        info = source.info
    assert (info.stem, info.width, info.height, info.fps, info.frames) == ("video", 64, 48, 10, 10)
    assert info.is_video and not info.is_live
    assert [frame.index for frame in frames] == list(range(10))
    assert levels(frames) == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(10) / 10)
    assert all(frame.image.shape == (48, 64, 3) and frame.read_ms > 0 for frame in frames)
    captured = [frame.captured_s for frame in frames]
    assert captured == sorted(captured)


@pytest.mark.parametrize(
    ("clip", "indices"),
    [
        ({"start": 0.3}, [3, 4, 5, 6, 7, 8, 9]),
        ({"end": 0.3}, [0, 1, 2]),
        ({"start": 0.2, "end": 0.6, "stride": 2}, [2, 4]),
        ({"stride": 4}, [0, 4, 8]),
        ({"stride": 4, "max_frames": 2}, [0, 4]),
        ({"start": 0.85}, [9]),
    ],
)
def test_video_clip_start_end_stride_and_max_frames(video, clip, indices) -> None:
    frames = read(video, **clip)
    assert [frame.index for frame in frames] == indices
    assert levels(frames) == indices
    with open_source(str(video), Clip(**clip)) as source:
        assert source.info.frames == len(indices)


def test_video_starting_late_has_timestamps_from_zero(tmp_path) -> None:
    path = write_video(tmp_path / "late.mp4", frames=4, times=[5.0, 5.1, 5.2, 5.3])
    assert [frame.time_s for frame in read(path)] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)


def test_video_keeps_timestamps_of_variable_frame_rate(tmp_path) -> None:
    times = [0.0, 0.1, 0.5, 0.6, 1.5]
    path = write_video(tmp_path / "vfr.mp4", frames=5, times=times)
    frames = read(path)
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=0.01)
    assert levels(frames) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("odd.mkv", {"size_wh": (63, 47), "codec": "ffv1", "pix_fmt": "yuv444p"}),
        ("ten_bit.mp4", {"pix_fmt": "yuv420p10le"}),
        ("ten_bit.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p10le"}),
        ("motion.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_video_reads_odd_size_10_bit_mkv_and_avi(name, options, tmp_path) -> None:
    frames = read(write_video(tmp_path / name, frames=5, **options))
    width, height = options.get("size_wh", (64, 48))
    assert [frame.image.shape for frame in frames] == [(height, width, 3)] * 5
    assert levels(frames) == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(5) / 10, abs=0.01)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(
            ("video.mp4", "libx264"),
            ("video.mkv", "libx264"),
            ("video.ts", "libx264"),
            ("video.flv", "libx264"),
        ),
        *(
            ("video.avi", "mpeg4"),
            ("video.webm", "libvpx"),
            ("video.h264", "libx264"),
            ("video.gif", "gif"),
        ),
    ],
)
def test_video_seek_gives_same_frames_as_full_read(name, codec, tmp_path) -> None:
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    path = write_video(tmp_path / name, frames=12, codec=codec, pix_fmt=pix_fmt)
    whole = read(path)
    assert [frame.index for frame in whole] == list(range(12))
    end = whole[-1].time_s
    for start in (0.45 * end, end):  # some containers cannot be sought in, or not so near to their end
        part, rest = read(path, start=start), [frame for frame in whole if frame.time_s >= start - 1e-6]
        assert [(f.index, f.time_s) for f in part] == [(f.index, f.time_s) for f in rest]
        assert levels(part) == levels(rest)


def turn(path: Path, matrix: tuple[int, ...]) -> None:
    """Write a display matrix (a, b, c, d of 16.16 fixed point) into an mp4's track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: 40 bytes from version to the matrix
    a, b, c, d = (v * 65536 for v in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_video_seek_keeps_frame_numbers_of_variable_frame_rate(name, tmp_path) -> None:
    times = [0.1 * i for i in range(8)] + [1 + 0.5 * i for i in range(6)]  # frame 8 is at 1.0 s
    path = write_video(tmp_path / name, frames=14, times=times)
    assert [frame.index for frame in read(path, start=1.0, max_frames=3)] == [8, 9, 10]
    assert [frame.index for frame in read(path, start=2.0)] == [10, 11, 12, 13]


def test_video_avi_with_b_frames_without_pts_has_increasing_times(tmp_path) -> None:
    path = tmp_path / "b-frames.avi"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(40):
            picture = np.full((48, 64, 3), 6 * i, np.uint8) + rng.integers(0, 5, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    frames = read(path)
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(40) / 10)
    assert [round(frame.image.mean() / 6) for frame in frames] == pytest.approx(list(range(40)), abs=1)
    part = read(path, start=1.9, end=2.3)
    assert [(f.index, f.time_s) for f in part] == [(f.index, f.time_s) for f in frames[19:23]]


def test_video_fps_is_measured_when_header_claims_1000_fps(tmp_path) -> None:
    times = [0.033 * i + 0.001 * (i % 3) for i in range(60)]  # as browsers record
    path = write_video(tmp_path / "recorded.mkv", frames=60, fps=1000, times=times)
    with open_source(str(path)) as source:
        assert source.info.fps == pytest.approx(30.3, abs=0.1)
    assert [frame.index for frame in read(path, start=1, stride=3)] == list(range(33, 60, 3))


@pytest.mark.parametrize("name", ["video.mkv", "video.flv", "video.mp4"])
def test_video_with_longer_audio_ends_at_last_frame(name, tmp_path) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for _ in range(10):
            picture = np.zeros((48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
        for i in range(40):  # 2.56 s
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            block.sample_rate, block.pts = 16000, i * 1024
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    with open_source(str(path)) as source:
        assert len(list(source)) == 10
        assert source.info.frames in (10, None)


@pytest.mark.parametrize("name", ["cut.mkv", "cut.flv"])
def test_video_truncated_mkv_or_flv_raises_run_broken_after_its_frames(name, tmp_path) -> None:
    path = noisy_video(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, _ = read_until_broken(path)
    assert 30 <= len(frames) <= 40


# QuickTime's matrix moves (x, y) to (ax + cy, bx + dy), y down; how the stored picture then is to be shown.
ORIENTATIONS = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    "mirrored upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "rows as columns": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "right": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "right, mirrored": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
    "left": ((0, -1, 1, 0), np.rot90),
}


@pytest.mark.parametrize(("matrix", "shown"), ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_video_applies_rotation_and_mirror_of_display_matrix(matrix, shown, tmp_path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[24:, :32], picture[:24, 32:] = 200, 120, 60  # a grey for each corner
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    stored = read(path)[0].image
    turn(path, matrix)
    with open_source(str(path)) as source:
        frames = list(source)
        assert (source.info.height, source.info.width) == frames[0].image.shape[:2]
    assert np.abs(stored.astype(int) - picture).max() < 30
    np.testing.assert_array_equal(frames[0].image, shown(stored))


def with_a_small_one_first(path: Path) -> Path:
    """A small black video, as thumbnails are stored, and behind it one of six frames of 64x48."""
    with av.open(str(path), "w") as container:
        streams = []
        for codec, pix_fmt, width, height in (
            ("mjpeg", "yuvj420p", 32, 16),
            ("libx264", "yuv420p", 64, 48),
        ):
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            streams.append(stream)
        for stream, count in zip(streams, (2, 6), strict=True):
            picture = np.zeros((stream.height, stream.width, 3), np.uint8)
            for _ in range(count):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode(None))
    return path


def hls_of_two_sizes(folder: Path) -> Path:
    """A master list, the smaller picture first."""
    master = "#EXTM3U\n"
    for name, size, rate in (("low", (32, 16), 9000), ("high", (64, 48), 90000)):
        write_video(folder / f"{name}.ts", frames=6, size_wh=size)
        part = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.6,\n{name}.ts\n#EXT-X-ENDLIST\n"
        (folder / f"{name}.m3u8").write_text(part)
        master += f"#EXT-X-STREAM-INF:BANDWIDTH={rate}\n{name}.m3u8\n"
    return written(folder / "master.m3u8", master.encode())


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: with_a_small_one_first(folder / "video.mkv"),
        lambda folder: with_a_small_one_first(folder / "video.mp4"),
        hls_of_two_sizes,
    ],
    ids=["mkv", "mp4", "hls"],
)
def test_video_reads_largest_stream_of_file(make, tmp_path) -> None:
    with open_source(str(make(tmp_path))) as source:
        frames = list(source)
        assert (source.info.width, source.info.height) == (64, 48)
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 6


@pytest.mark.parametrize("name", ["video.ts", "video.flv", "video.mp4"])
def test_video_adjacent_clips_have_every_frame_once(name, tmp_path) -> None:
    path = write_video(tmp_path / name, frames=50, fps=25)  # ts and flv begin after 0
    first, second = (read(path, start=a, end=b) for a, b in ((0.44, 0.6), (0.6, 0.8)))
    assert [frame.index for frame in first] == [11, 12, 13, 14]
    assert [frame.index for frame in second] == [15, 16, 17, 18, 19]


def noisy_video(path: Path, frames: int = 60, **options: str) -> Path:
    """A video with much to store, and a key frame every ten frames."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def read_until_broken(path: Path) -> tuple[list, str]:
    """The frames that come, and what is said after them."""
    frames = []
    with open_source(str(path)) as source, pytest.raises(RunBroken) as error:
        for frame in source:
            frames.append(frame)
    return frames, str(error.value)


def test_video_damaged_middle_loses_only_damaged_frames(tmp_path) -> None:
    path = noisy_video(tmp_path / "damaged.mp4")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path.write_bytes(data)
    frames, words = read_until_broken(path)
    assert 50 <= len(frames) < 60
    lost = 60 - len(frames)
    assert words.startswith(
        f"{path} is damaged: {lost} of its frames could not be decoded and 1 only in part"
    )
    # The last frame has its own number and time still.
    assert (frames[-1].index, frames[-1].time_s) == (59, pytest.approx(5.9))


def test_video_keeps_frame_numbers_after_lost_packets(tmp_path) -> None:
    path = noisy_video(tmp_path / "hole.mkv")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)  # over whole packets, which nobody can then miss by name
    path.write_bytes(data)
    frames, words = read_until_broken(path)
    assert [frame.index for frame in frames] == [round(frame.time_s * 10) for frame in frames]
    assert words.startswith(f"{path} is damaged: {60 - len(frames)} of its frames could not be decoded")


@pytest.mark.parametrize("name", ["any.mp4", "any.mkv", "any.ts", "any.avi", "any.mpg", "any.h264"])
def test_video_random_damage_raises_only_known_errors(name, tmp_path) -> None:
    codec = {".avi": "mpeg4", ".mpg": "mpeg2video"}.get(Path(name).suffix, "libx264")
    whole = write_video(tmp_path / name, frames=30, fps=25, codec=codec).read_bytes()
    rng = np.random.default_rng(0)
    for start in (0, 0.5) * 10:
        at, length = rng.integers(len(whole)), rng.integers(1, len(whole) // 4)
        damaged = whole[:at] + rng.bytes(length) + whole[at + length :]
        path = written(tmp_path / name, damaged[: len(whole)])
        with suppress(BadInput, RunBroken):
            indices = [frame.index for frame in read(path, start=start)]
            assert indices == sorted(set(indices))


def test_video_truncated_mp4_gives_frames_before_run_broken(tmp_path) -> None:
    path = noisy_video(tmp_path / "cut.mp4", movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, words = read_until_broken(path)
    assert 30 <= len(frames) <= 40
    end_s = len(frames) / 10
    assert words.startswith(f"{path} breaks off at {end_s:.1f} s of 6.0 s: it may be truncated")


def test_video_truncated_mp4_clip_before_break_raises_nothing(tmp_path) -> None:
    path = noisy_video(tmp_path / "cut.mp4", movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert len(read(path, max_frames=10)) == 10
    assert len(read(path, end=1.0)) == 10


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for _ in range(10):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_before_index(path: Path) -> Path:
    noisy_video(path)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "gone.mp4", r"gone\.mp4 does not exist: check the path"),
        (lambda d: d / "*.mp4", r"\*\.mp4 does not exist: name one source, a pattern is not expanded here"),
        (lambda d: written(d / "empty.mp4", b""), r"empty\.mp4 is empty: choose another file"),
        (
            lambda d: written(d / "caf\udce9.mp4", b"x"),
            r"caf\\udce9\.mp4 has a name that is no UTF-8: rename it",
        ),
        (
            lambda d: written(d / "text.mp4", b"no video\n" * 99),
            r"text\.mp4 is not a video, or its beginning",
        ),
        (lambda d: written(d / "notes.txt", b"no video\n" * 99), r"notes\.txt has no video in it"),
        (
            lambda d: cut_before_index(d / "cut.mp4"),
            r"cut\.mp4 is not a video, or its beginning or index is",
        ),
        (lambda d: sound(d / "sound.mp4"), r"sound\.mp4 has no video in it: choose another file"),
    ],
    ids=["missing", "pattern", "empty", "no UTF-8", "text", "txt", "no index", "sound"],
)
def test_video_missing_empty_or_not_video_raises_bad_input(make, words, tmp_path) -> None:
    with pytest.raises(BadInput, match=words):
        open_source(str(make(tmp_path)))


def test_video_of_unknown_length_with_start_past_end_raises_run_broken(tmp_path) -> None:
    video = write_video(tmp_path / "raw.h264")
    with pytest.raises(RunBroken, match=r"raw.h264 ends before `start` 50: give an earlier one"):
        read(video, start=50)


def test_video_start_past_end_and_ftp_url_raise_bad_input(video) -> None:
    with pytest.raises(BadInput, match=r"is 1\.0 s long: `start` 3 is past it"):
        open_source(str(video), Clip(start=3))
    with pytest.raises(BadInput, match=r"ftp://a/b is no address"):
        open_source("ftp://a/b")


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({"start": 2, "end": 1}, r"nothing lies between `start` 2\.0 and `end` 1\.0: both are seconds"),
        ({"start": 1, "end": 1}, r"nothing lies between `start` 1\.0 and `end` 1\.0"),
        ({"start": -1}, "`start` is -1: expected float >= 0"),
        ({"start": math.nan}, "`start` is nan: expected float >= 0"),
        ({"end": math.inf}, "`end` is inf: expected float <= 1000000000"),
        ({"stride": 0}, "`stride` is 0: expected int >= 1"),
        ({"stride": 1.5}, r"`stride` is 1\.5: expected int, got float"),
        ({"max_frames": 0}, "`max_frames` is 0: expected int >= 1"),
        ({"max_frames": 2.5}, r"`max_frames` is 2\.5: expected int | None, got float"),
        ({"fps": 0}, "`fps` is 0: expected float > 0"),
    ],
)
def test_clip_rejects_invalid_values(clip, words) -> None:
    with pytest.raises(BadInput, match=words):
        Clip(**clip)
