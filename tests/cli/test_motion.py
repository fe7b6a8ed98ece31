"""`hrpose-rt motion`: the files that it makes of a run, and what it refuses."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput, RuntimeMissing
from tests.kinematics.walkers import walking, write_jsonl


def run(*words: str) -> str:
    done = CliRunner().invoke(build_app(["motion"]), ["motion", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def poses(tmp_path, monkeypatch) -> str:
    """Person 0 walks for two seconds and has no left wrist for a while, person 2 for half a second."""
    monkeypatch.chdir(tmp_path)
    walker = walking(50)
    walker[20:24, 9] = np.nan
    return str(write_jsonl(Path("poses.jsonl"), {0: walker, 2: walking(13)}))


def rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def test_files_of_people_who_are_there_for_long(poses: str) -> None:
    said = run(poses, "--output", "out", "--plot")
    assert "6 files in out; people: 0" in said
    assert "no TRC files: they hold metres, and --scale height=METRES gives them" in said
    names = ["angles.csv", "person-0.mot", "person-0.png", "poses.csv", "poses.jsonl", "speeds.csv"]
    assert sorted(file.name for file in Path("out").iterdir()) == names
    assert cv2.imread("out/person-0.png").std() > 5
    filtered = rows("out/poses.csv")
    assert filtered[22]["left_wrist_raw_x"] == "" and float(filtered[22]["left_wrist_x"]) == pytest.approx(
        144
    )
    assert float(filtered[10]["nose_raw_x"]) == 130 and float(filtered[10]["nose_score"]) == 0.9
    assert float(rows("out/angles.csv")[5]["trunk"]) == pytest.approx(90)
    assert float(rows("out/speeds.csv")[25]["hips_px_s"]) == pytest.approx(50, abs=0.1)
    person = json.loads(Path("out/poses.jsonl").read_text().splitlines()[11])["people"][0]
    assert person["raw_keypoints"][0] == [130, 20, 0.9]


def test_person_of_a_single_frame_is_kept_as_it_is(poses: str) -> None:
    path = write_jsonl(Path("short.jsonl"), {0: walking(10), 1: walking(1)})
    run(str(path), "-o", "out", "--min-length", "0", "--plot")
    (only,) = (row for row in rows("out/poses.csv") if row["id"] == "1")
    assert only["nose_x"] == only["nose_raw_x"] == "110.0"
    assert {row["hips_px_s"] for row in rows("out/speeds.csv") if row["id"] == "1"} == {""}


def test_height_of_the_first_person_gives_metres(poses: str) -> None:
    pytest.importorskip("ezc3d")
    said = run(poses, "-o", "out", "--ids", "0,2", "--scale", "height=1.92", "--c3d")
    # 140 of the segments and 1.5 * 22.36 of the head, times 1.063 / .961
    assert "person 0 is 192 pixels tall, so a pixel is 0.01000 m" in said
    assert {"person-0.trc", "person-2.trc", "person-0.c3d", "person-2.c3d"} <= {
        file.name for file in Path("out").iterdir()
    }
    assert float(rows("out/speeds.csv")[25]["hips_m_s"]) == pytest.approx(0.5, abs=0.002)


def test_points_of_the_ground_give_places_on_it(poses: str) -> None:
    square = [[0, 0], [100, 0], [100, 200], [0, 200]]
    Path("points.json").write_text(
        json.dumps({"pixels": square, "metres": [[0, 0], [1, 0], [1, 2], [0, 2]]})
    )
    run(poses, "-o", "out", "--scale", "points.json", "--filter", "none")
    row = rows("out/speeds.csv")[10]
    assert [float(row[name]) for name in ("ground_x_m", "ground_y_m", "ground_m_s")] == pytest.approx(
        [1.2, 1.8, 0.5]
    )
    assert "hips_px_s" in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--facing", "up"], "--facing up: choose auto or right or left"),
        (["--kpt-score", "2"], "--kpt-score is within 0..1, not 2"),
        (["--c3d"], "--c3d holds metres: add --scale height=METRES"),
        (["--ids", "0,a"], "--ids 0,a: a is no id, give numbers such as 0,3"),
        (["--ids", "9"], "nobody has the id 9: the ids are 0, 2"),
        (["--filter", "kalman"], "there is no `filter` kalman"),
        (["--cutoff", "20"], "`cutoff` 20 is not below half the frame rate, 12.5 Hz"),
    ],
)
def test_wrong_options_are_refused_before_a_file_is_written(words, message, poses) -> None:
    with pytest.raises(BadInput, match=message):
        run(poses, "--output", "out", *words)
    assert not Path("out").exists()


def test_person_without_a_head_gives_no_scale(poses: str) -> None:
    headless = walking(50)
    headless[:, 0] = np.nan
    path = write_jsonl(Path("headless.jsonl"), {4: headless})
    with pytest.raises(BadInput, match="person 4 is never seen from head to ankles: name another first in"):
        run(str(path), "-o", "out", "--scale", "height=1.8")


def test_existing_files_are_kept_unless_overwritten(poses: str) -> None:
    run(poses, "-o", "out", "--ids", "0")
    before = Path("out/angles.csv").read_text()
    with pytest.raises(BadInput, match=r"out/poses.jsonl exists: choose another name, or add --overwrite"):
        run(poses, "-o", "out", "--filter", "none")
    assert Path("out/angles.csv").read_text() == before
    run(poses, "-o", "out", "--overwrite")
    with pytest.raises(BadInput, match=r"poses.jsonl is what is read: write to another place"):
        run(poses, "-o", ".", "--overwrite")


def test_missing_library_is_named_before_a_file_is_written(poses: str, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.cli.motion.find_spec", lambda name: None)
    for option, library in (("--plot", "matplotlib"), ("--c3d", "ezc3d")):
        with pytest.raises(
            RuntimeMissing, match=rf"{option} needs {library}: pip install -e '\.\[motion\]' in the"
        ):
            run(poses, "-o", "out", "--scale", "height=1.8", option)
    assert not Path("out").exists()
