"""The table of all people, as other programs read it."""

import json
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.batch.options import Options
from hrpose_rt.batch.people_table import ParquetSink, file_in_table
from hrpose_rt.batch.schedule import Redo
from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import COCO17
from hrpose_rt.types import Detections, Frame, Poses, SourceInfo, StageTimes
from tests.batch import fakes
from tests.batch.test_schedule import lines, run
from tests.conftest import write_video
from tests.fakes import RUN

INFO = SourceInfo("a.mp4", "a", 64, 48, 10.0, 3, is_video=True, is_live=False)


def result(index: int, people: int) -> FrameResult:
    """A frame of people, of which the last has no pose."""
    boxes = np.array([[10 * i, 0, 10 * i + 8, 40] for i in range(people)], np.float32).reshape(-1, 4)
    poses = Poses.estimated(
        np.full((people, 17, 2), index + 0.5, np.float32), np.full((people, 17), 1.5, np.float32)
    )
    poses.age[-1:] = -1
    return FrameResult(
        Frame(index, np.zeros((48, 64, 3), np.uint8), index / 10, 0.0),
        Detections.found(boxes, np.full(people, 0.25, np.float32)),
        np.arange(people) - 1,
        poses,
        StageTimes(),
        COCO17,
    )


def test_rows_are_people_with_null_for_poses_that_they_lack(tmp_path, monkeypatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr("hrpose_rt.batch.people_table.ROWS", 3)  # two groups of rows
    sink = ParquetSink(tmp_path / "a.parquet", INFO, RUN)
    for one in (result(0, 2), result(1, 0), result(2, 3)):
        sink.write(one, one.frame.image)
    sink.close()
    sink.close()
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["frame"].to_pylist() == [0, 0, 2, 2, 2]
    assert table["time_s"].to_pylist() == pytest.approx([0, 0, 0.2, 0.2, 0.2])
    assert table["id"].to_pylist() == [-1, 0, -1, 0, 1]
    assert table["x2"].to_pylist() == [8, 18, 8, 18, 28]
    assert table["score"].to_pylist() == [0.25] * 5
    assert table["from"].to_pylist() == ["detected"] * 5
    assert table["age"].to_pylist() == [0, -1, 0, 0, -1]
    assert table["nose_x"].to_pylist() == [0.5, None, 2.5, 2.5, None]
    assert table["nose_score"].to_pylist() == [1, None, 1, 1, None]
    assert table.num_columns == 11 + 3 * 17
    assert json.loads(table.schema.metadata[b"hrpose"])["source"] == "a.mp4"
    with pytest.raises(BadInput, match=r"a.parquet is closed: nothing more"):
        sink.write(result(3, 1), np.zeros((48, 64, 3), np.uint8))


def test_video_without_people_has_a_table_without_rows(tmp_path) -> None:
    from pyarrow import parquet

    ParquetSink(tmp_path / "a.parquet", INFO, RUN).close()
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 0


def test_file_replaces_an_older_one_and_without_it_the_older_one_goes(tmp_path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    place = tmp_path / "people.parquet" / "video=a%20b%2Fc".replace("%20", " ") / "people.parquet"
    for text in ("first", "second"):
        (work / "people.parquet").write_text(text)
        file_in_table(work, tmp_path, "a b/c")
        assert place.read_text() == text
    file_in_table(work, tmp_path, "a b/c")
    assert not place.parent.exists()


def test_missing_library_is_named_before_the_batch(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.batch.options.find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match=r"`parquet` needs pyarrow: pip install -e '.\[cluster\]'"):
        Options(outputs=("parquet",))


@pytest.mark.slow
def test_table_of_a_batch_has_the_people_of_its_json(tmp_path: Path) -> None:
    from pyarrow import dataset

    (tmp_path / "in").mkdir()
    for name in ("001", "ä b", "film"):
        write_video(tmp_path / "in" / f"{name}.mp4", frames=220 if name == "film" else 10)
    options = Options(outputs=("json", "parquet"), split_s=10, open_pipeline=fakes.fake_pipeline)
    run(tmp_path / "in", tmp_path / "out", options)
    table = dataset.dataset(tmp_path / "out" / "people.parquet", partitioning="hive").to_table()
    for name in ("001", "ä b", "film"):
        people = [
            (line["frame"], person["id"])
            for line in lines(tmp_path / "out" / name / f"{name}.jsonl")[1:]
            for person in line["people"]
        ]
        rows = [row for row in table.to_pylist() if row["video"] == name]
        assert people and [(row["frame"], row["id"]) for row in rows] == people
        assert not (tmp_path / "out" / name / "people.parquet").exists()
    without = Options(outputs=("json",), split_s=10, open_pipeline=fakes.fake_pipeline)
    run(tmp_path / "in" / "001.mp4", tmp_path / "out", without, Redo(changed=True))
    table = dataset.dataset(tmp_path / "out" / "people.parquet", partitioning="hive").to_table()
    assert set(table["video"].to_pylist()) == {"ä b", "film"}
