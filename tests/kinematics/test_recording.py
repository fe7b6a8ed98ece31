"""Files of JSON lines are read as people over time."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.kinematics.recording import chosen, read_recording, rewrite
from hrpose_rt.sinks.jsonl import JsonlSink
from tests.fakes import RUN
from tests.kinematics.walkers import PLACES, walking, write_jsonl
from tests.sinks.test_video import info, results


def test_a_file_of_a_run_is_read(tmp_path: Path) -> None:
    sink = JsonlSink(str(tmp_path / "a.jsonl"), info(), RUN)
    frames = results(4, crowds=(2,))
    for result in frames:
        sink.write(result, result.frame.image)
    sink.close()
    recording = read_recording(tmp_path / "a.jsonl")
    assert (recording.source, recording.width, recording.skeleton.name) == ("in.mp4", 64, "coco17")
    assert recording.tracks == ()  # separate images have no ids


def test_people_are_rows_at_even_distances(tmp_path: Path) -> None:
    away = walking(5)
    away[1] = np.nan  # frame 12
    away[3, 9] = np.nan  # the left wrist in frame 18
    path = write_jsonl(tmp_path / "a.jsonl", {7: away, -1: walking(5)}, frames=[10, 12, 16, 18, 20])
    (track,) = read_recording(path).tracks
    assert track.id == 7
    assert track.frames.tolist() == [10, 12, 14, 16, 18, 20]  # frame 14 was dropped
    assert track.times_s.tolist() == pytest.approx([0.4, 0.48, 0.56, 0.64, 0.72, 0.8])
    assert track.rate_hz == pytest.approx(12.5) and track.seconds == pytest.approx(0.4)
    assert np.isnan(track.keypoints[:, 0, 0]).tolist() == [False, True, True, False, False, False]
    assert np.isnan(track.keypoints[4, 9]).all() and track.scores[4, 9] == 0
    assert track.keypoints[3, 0].tolist() == [114, 20]


def test_chosen_people_have_the_ids_or_are_there_for_long(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {3: walking(30), 5: walking(10)})
    recording = read_recording(path)
    assert [track.id for track in chosen(recording)] == [3, 5]
    assert [track.id for track in chosen(recording, (5, 3, 5), 9)] == [5, 3]
    assert [track.id for track in chosen(recording, min_length_s=1)] == [3]
    with pytest.raises(BadInput, match="nobody has the id 4: the ids are 3, 5"):
        chosen(recording, (4,))
    with pytest.raises(
        BadInput, match=r"nobody is there for 2 s, the longest for 1.16: lower `min_length_s`"
    ):
        chosen(recording, min_length_s=2)
    images = read_recording(write_jsonl(tmp_path / "b.jsonl", {-1: walking(2)}))
    with pytest.raises(BadInput, match="nobody in the file has an id and a pose: run a video"):
        chosen(images)


def test_rewritten_lines_keep_raw_keypoints(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {3: walking(2), 4: walking(2)})
    filtered = PLACES + 0.5
    filtered[9] = np.nan
    rewrite(path, tmp_path / "b.jsonl", {(1, 3): filtered})
    before, after = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("a.jsonl", "b.jsonl")
    )
    assert after[:2] == before[:2] and after[2]["people"][1] == before[2]["people"][1]
    person, raw = after[2]["people"][0], before[2]["people"][0]["keypoints"]
    assert person["raw_keypoints"] == raw
    assert person["keypoints"][0] == [110.5, 20.5, 0.9] and person["keypoints"][9] == raw[9]
    # A second filter starts from the same keypoints.
    assert read_recording(tmp_path / "b.jsonl").tracks[0].keypoints[1, 0].tolist() == raw[0][:2]
    rewrite(tmp_path / "b.jsonl", tmp_path / "c.jsonl", {(1, 3): filtered})
    assert (tmp_path / "c.jsonl").read_text() == (tmp_path / "b.jsonl").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1 of a.jsonl is not what hrpose-rt run --json writes"),
        ("frame,id\n", "line 1 of a.jsonl is not what hrpose-rt run --json writes"),
        ('{"hrpose": 1}\n', r"line 1 .* \(Object missing required field schema\): give such a file"),
        ("HEADER\n{}\n", r"line 2 of a.jsonl .* missing required field frame"),
        ('HEADER\n{"frame": 1, "time_s": 0, "people": []}\n' * 2, "line 3 of a.jsonl is not what"),
        ('HEADER\n{"frame": 1' + "0" * 30 + "}\n", "line 2 of a.jsonl is not what"),
        ('HEADER\n{"x": ' + "[" * 9999, r"line 2 of a.jsonl is not what .* \(maximum recursion depth"),
    ],
)
def test_other_files_are_refused_by_line(text, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    header = write_jsonl(Path("b.jsonl"), {0: walking(1)}).read_text().splitlines()[0]
    Path("a.jsonl").write_text(text.replace("HEADER", header))
    with pytest.raises(BadInput, match=words):
        read_recording(Path("a.jsonl"))


def test_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {0: walking(2)})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_recording(path).tracks) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_are_refused_because_they_are_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is a pipe or a device, which cannot be read twice: save it as a"):
        read_recording(tmp_path / "pipe")


def test_missing_files_other_schemas_orders_and_skeletons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none.jsonl cannot be read \(No such file or directory\): check"):
        read_recording(tmp_path / "none.jsonl")
    people = {0: walking(3)}
    path = tmp_path / "a.jsonl"
    with pytest.raises(BadInput, match="has JSON lines of schema 2, this reads 1"):
        read_recording(write_jsonl(path, people, header={"schema": 2}))
    with pytest.raises(BadInput, match=r"line 4 of .*a.jsonl is frame 1 after frame 5: give one run"):
        read_recording(write_jsonl(path, people, frames=[1, 5, 1]))
    again = write_jsonl(path, people).read_text().replace('"time_s": 0.08', '"time_s": 0.04')
    path.write_text(again)
    with pytest.raises(
        BadInput, match=r"line 4 of .*a.jsonl is at 0.04 s after 0.04 s: times have to rise"
    ):
        read_recording(path)
    with pytest.raises(
        BadInput, match=r"line 2 .* has 17 keypoints and its skeleton 16: give its `skeleton`"
    ):
        read_recording(write_jsonl(path, people, header={"skeleton": "mpii16"}))
    assert len(read_recording(path, skeleton="coco17").tracks) == 1
