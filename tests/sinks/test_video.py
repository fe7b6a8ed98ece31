"""What is written can be read, also when the writing ended badly."""

import json
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.images import ImageSink
from hrpose_rt.sinks.jsonl import JsonlSink
from hrpose_rt.sinks.video import VideoSink
from hrpose_rt.types import Frame, SourceInfo
from tests.fakes import RUN, fake_networks


def info(size_wh: tuple[int, int] = (64, 48), fps: float = 10.0) -> SourceInfo:
    return SourceInfo("in.mp4", "in", *size_wh, fps, None, is_video=True, is_live=False)


def results(
    count: int, size_wh: tuple[int, int] = (64, 48), times: list[float] | None = None, crowds=(2, 0)
) -> list[FrameResult]:
    """Results of frames that brighten by 20 levels each."""
    times = times or [i / 10 for i in range(count)]
    pictures = [np.full((*size_wh[::-1], 3), min(20 * i, 255), np.uint8) for i in range(count)]
    with PosePipeline(networks=fake_networks(crowds)) as pipeline:
        return [pipeline.process(Frame(i, pictures[i], times[i], 0.0)) for i in range(count)]


def play(path: Path, to_the_end: bool = True) -> list[av.VideoFrame]:
    """The frames of a video; where it need not be whole, those before its first fault."""
    frames = []
    with av.open(str(path)) as container, suppress(() if to_the_end else av.error.InvalidDataError):
        for frame in container.decode(video=0):
            frames.append(frame)
    return frames


def save(path: Path, frames: list[FrameResult], about: SourceInfo) -> Path:
    sink = VideoSink(path, about)
    for result in frames:
        sink.write(result, result.frame.image)
    sink.close()
    return path


def test_mp4_is_h264_with_every_frame_and_timestamp(tmp_path) -> None:
    times = [7.0, 7.1, 7.5, 7.6, 8.5]  # a part of a video, which becomes a video of its own
    path = save(tmp_path / "out.mp4", results(5, times=times), info())
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    frames = play(path)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.5, 0.6, 1.5], abs=1e-3)
    assert [round(frame.to_ndarray(format="bgr24").mean() / 20) for frame in frames] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fps", [25 / 60_000, 1e-300])  # a large stride, or images of a slow time lapse
def test_mp4_of_very_slow_source_keeps_times(fps, tmp_path) -> None:
    path = save(tmp_path / "out.mp4", results(2, times=[0.0, 2400.0]), info(fps=fps))
    assert [frame.time for frame in play(path)] == [0, 2400]


def test_mp4_is_fragmented_and_has_duration_after_close(tmp_path) -> None:
    path = save(tmp_path / "out.mp4", results(40), info())
    assert path.read_bytes().count(b"moof") >= 4  # four seconds of it
    with av.open(str(path)) as container:
        assert (container.duration, container.streams.video[0].frames) == (4_000_000, 40)


@pytest.mark.parametrize(
    ("size_wh", "written_wh"), [((63, 47), (62, 46)), ((1, 1), (2, 2)), ((64, 1), (64, 2))]
)
def test_mp4_makes_odd_frame_sizes_even(size_wh, written_wh, tmp_path) -> None:
    frames = play(save(tmp_path / "odd.mp4", results(3, size_wh), info(size_wh)))
    assert [(frame.width, frame.height) for frame in frames] == [written_wh] * 3


def test_mp4_fits_frame_of_other_size_into_first_size_with_bars(tmp_path) -> None:
    path = tmp_path / "mixed.mp4"
    upright = results(2, (48, 96))[1:]  # 20 levels of grey; into 64x48 goes a picture of 24x48
    frames = play(save(path, [*results(1), replace(upright[0], frame=bright(upright[0].frame))], info()))
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 2
    fitted = frames[1].to_ndarray(format="bgr24")
    assert fitted[:, 23:41].min() > 180
    assert fitted[:, :17].max() < 20 and fitted[:, 47:].max() < 20


def bright(frame: Frame) -> Frame:
    return replace(frame, image=np.full_like(frame.image, 200))


def test_jsonl_writes_frame_size_when_it_changes(tmp_path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(str(path), info(), RUN)
    for result in (*results(1), *results(1, (48, 96)), *results(1)):
        sink.write(result, result.frame.image)
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    sizes = [(line.get("width"), line.get("height")) for line in lines]
    assert sizes == [(64, 48), (None, None), (48, 96), (64, 48)]


def test_mp4_keeps_frames_with_equal_timestamps(tmp_path) -> None:
    assert len(play(save(tmp_path / "same.mp4", results(3, times=[0.0, 0.0, 0.0]), info()))) == 3


def test_mp4_without_frames_closes_without_error(tmp_path) -> None:
    save(tmp_path / "nothing.mp4", [], info())


KILLED = """
    import sys, time, numpy as np
    from pathlib import Path
    from tests.sinks.test_video import info, results
    from hrpose_rt.sinks.video import VideoSink
    from dataclasses import replace
    (result,) = results(1, (320, 240))
    fps = float(sys.argv[2])
    sink = VideoSink(Path(sys.argv[1]), info((320, 240), fps=fps))
    rng = np.random.default_rng(0)
    for i in range(100000):
        frame = replace(result.frame, index=i, time_s=i / fps)
        picture = rng.integers(0, 255, (240, 320, 3), np.uint8)
        sink.write(replace(result, frame=frame), picture)
        print(i, flush=True)
        time.sleep(0.005)
"""


@pytest.mark.parametrize("fps", [5, 25])
def test_mp4_of_killed_process_plays_up_to_last_second(fps, tmp_path) -> None:
    path = tmp_path / "killed.mp4"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), str(fps)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        last = -1
        while last < 110:
            last = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split("\n")
        last = max([last, *(int(line) for line in rest[:-1])])
    assert play(path, to_the_end=False)[-1].time >= last / fps - 1.0


def test_jsonl_has_header_and_one_line_per_frame(tmp_path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(str(path), info(), RUN)
    for result in results(4, crowds=(2, 0)):
        sink.write(result, result.frame.image)
        assert json.loads(path.read_text().splitlines()[-1])["frame"] == result.frame.index  # at once
    sink.close()
    first, *lines = map(json.loads, path.read_text().splitlines())
    about = {"source": "in.mp4", "width": 64, "height": 48, "fps": 10.0}
    assert first == {"hrpose": version("hrpose-rt"), "schema": 1, **about, **RUN.to_dict()}
    assert list(first)[:2] == ["hrpose", "schema"]
    assert [len(line["people"]) for line in lines] == [2, 0, 2, 0]


def test_jsonl_writes_to_stdout(capsys) -> None:
    sink = JsonlSink("-", info(), RUN)
    (result,) = results(1)
    sink.write(result, result.frame.image)
    sink.close()
    assert len(capsys.readouterr().out.splitlines()) == 2
    print("standard output is still open")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_jsonl_reports_full_disk() -> None:
    with pytest.raises(RunBroken, match=r"writing /dev/full failed \(No space left on device\): make room"):
        JsonlSink("/dev/full", info(), RUN)


FULL = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np
    from dataclasses import replace
    from hrpose_rt.errors import RunBroken
    from hrpose_rt.sinks.coco import CocoSink
    from hrpose_rt.sinks.jsonl import JsonlSink
    from hrpose_rt.sinks.video import VideoSink
    from tests.sinks.test_video import info, results
    from tests.fakes import RUN
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    (result,) = results(1, (320, 240))
    about, path = info((320, 240)), Path(sys.argv[1])
    text = CocoSink if path.name == "coco.json" else JsonlSink
    sink = VideoSink(path, about) if path.suffix == ".mp4" else text(str(path), about, RUN)
    rng = np.random.default_rng(0)
    try:
        for i in range(1000):
            frame = replace(result.frame, index=i, time_s=i / 10)
            sink.write(replace(result, frame=frame), rng.integers(0, 255, (240, 320, 3), np.uint8))
    except RunBroken as error:
        print(error)
    try:
        sink.close()
    except RunBroken as error:
        print("again", error)
"""


def fill(path: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """Write to `path` until it has `limit` bytes, which is as much as it may have; then close."""
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(path), str(limit)]
    return subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("name", ["full.mp4", "full.jsonl"])
def test_mp4_and_jsonl_stay_readable_on_full_disk(name: str, tmp_path) -> None:
    path = tmp_path / name
    done = fill(path, 900_000)
    assert done.stdout.startswith(f"writing {path} failed (File too large): make room")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    if name.endswith(".mp4"):
        assert len(play(path, to_the_end=False)) >= 3
    else:
        assert json.loads(path.read_text().splitlines()[-1])["frame"] > 10


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("limit", range(50_000, 50_010))
def test_coco_results_stay_valid_json_on_full_disk(limit: int, tmp_path) -> None:
    path = tmp_path / "coco.json"
    done = fill(path, limit)
    assert done.stdout.startswith(f"writing {path} failed (File too large): make room")
    assert len(json.loads(path.read_text())) > 40


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("limit", [0, 20, 700, 5_000])
def test_mp4_reports_full_disk_in_first_bytes(limit: int, tmp_path) -> None:
    done = fill(tmp_path / "full.mp4", limit)
    assert done.stdout.startswith(f"writing {tmp_path / 'full.mp4'} failed (File too large): make room")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_mp4_closes_twice_and_rejects_write_after_close(tmp_path) -> None:
    path = tmp_path / "out.mp4"
    first, second = results(2)
    sink = VideoSink(path, info())
    sink.write(first, first.frame.image)
    sink.close()
    sink.close()
    with pytest.raises(BadInput, match=r"out\.mp4 is closed: nothing more can be written to it"):
        sink.write(second, second.frame.image)
    assert len(play(path)) == 1


def test_mp4_jsonl_and_image_sinks_reject_unwritable_path(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"gone/out\.mp4 cannot be written: No such file"):
        VideoSink(tmp_path / "gone" / "out.mp4", info())
    with pytest.raises(BadInput, match=r"gone/out\.jsonl cannot be written: No such file"):
        JsonlSink(str(tmp_path / "gone" / "out.jsonl"), info(), RUN)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be made"):
        ImageSink(tmp_path / "file" / "folder", {})


def test_image_sink_keeps_file_names(tmp_path) -> None:
    sink = ImageSink(tmp_path / "out", {0: "a.png", 1: "b.jpg"})
    for result in results(2):
        sink.write(result, result.draw())
    sink.close()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.jpg"]
    assert cv2.imread(str(tmp_path / "out" / "a.png")).shape == (48, 64, 3)
