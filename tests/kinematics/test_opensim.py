"""TRC, MOT and C3D files, read as their formats are described."""

from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.kinematics import opensim
from hrpose_rt.kinematics.filters import Smoothing
from hrpose_rt.kinematics.motion import Motion, measure
from hrpose_rt.skeleton import COCO17
from tests.kinematics.walkers import track, walking

WRIST = COCO17.joints.index("left_wrist")


@pytest.fixture
def walker() -> Motion:
    """Four frames; the left wrist is missing in the third, the left elbow in all."""
    keypoints = walking(4)
    keypoints[2, WRIST] = np.nan
    keypoints[:, COCO17.joints.index("left_elbow")] = np.nan
    return measure(track(keypoints, person=3), COCO17, Smoothing(filter="none", fill_s=0))


def test_markers_are_metres_with_y_upwards(walker: Motion) -> None:
    names, places = opensim.markers(walker, metres_per_px=0.01, height_px=200)
    assert names[:2] == ("Nose", "LEye") and names[-2:] == ("Hip", "Neck")
    assert places.shape == (4, 19, 3)
    assert places[1, 0].tolist() == pytest.approx([1.12, 1.80, 0])  # pixel (112, 20)
    assert places[0, -2].tolist() == pytest.approx([1.00, 1.00, 0])
    assert np.isnan(places[2, WRIST]).any()


def test_trc_has_the_header_and_columns_of_the_format(walker: Motion, tmp_path: Path) -> None:
    opensim.write_trc(tmp_path / "a.trc", walker, *opensim.markers(walker, 0.01, 200))
    lines = (tmp_path / "a.trc").read_text().splitlines()
    assert lines[0].split("\t") == ["PathFileType", "4", "(X/Y/Z)", "person-3.trc"]
    values = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert values == {
        "DataRate": "25",
        "CameraRate": "25",
        "NumFrames": "4",
        "NumMarkers": "19",
        "Units": "m",
        "OrigDataRate": "25",
        "OrigDataStartFrame": "1",
        "OrigNumFrames": "4",
    }
    heads, axes = lines[3].split("\t"), lines[4].split("\t")
    assert len(heads) == len(axes) == 2 + 3 * 19
    assert heads[:2] == ["Frame#", "Time"] and heads[2::3][0] == "Nose" and set(heads[3::3]) == {""}
    assert axes[2:5] == ["X1", "Y1", "Z1"] and axes[-1] == "Z19"
    assert lines[5] == "" and len(lines) == 6 + 4
    rows = [line.split("\t") for line in lines[6:]]
    assert {len(row) for row in rows} == {2 + 3 * 19}
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    # t = (f - OrigDataStartFrame) / DataRate
    assert [float(row[1]) for row in rows] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert [float(cell) for cell in rows[1][2:5]] == pytest.approx([1.12, 1.80, 0])
    assert rows[2][2 + 3 * WRIST : 5 + 3 * WRIST] == ["", "", ""]


def test_mot_counts_rows_and_columns_and_leaves_out_unknown_angles(walker: Motion, tmp_path: Path) -> None:
    opensim.write_mot(tmp_path / "a.mot", walker)
    lines = (tmp_path / "a.mot").read_text().splitlines()
    end = lines.index("endheader")
    assert lines[:end] == ["person-3", "version=1", "nRows=4", "nColumns=14", "inDegrees=yes"]
    heads = lines[end + 1].split("\t")
    assert heads[0] == "time" and len(heads) == 14
    # Both hips are one point, and so are the shoulders: the lines between them have no direction.
    unknown = {"left_elbow", "left_shoulder", "left_arm", "left_forearm", "pelvis", "shoulders"}
    assert unknown.isdisjoint(heads)
    rows = [dict(zip(heads, map(float, line.split("\t")), strict=True)) for line in lines[end + 2 :]]
    assert len(rows) == 4 and rows[3]["time"] == pytest.approx(0.12)
    assert rows[0]["trunk"] == pytest.approx(90) and rows[0]["right_knee"] == pytest.approx(0)


def test_c3d_is_read_back(walker: Motion, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    names, places = opensim.markers(walker, 0.01, 200)
    opensim.write_c3d(tmp_path / "a.partial", walker, names, places)
    (tmp_path / "a.partial").rename(tmp_path / "a.c3d")
    file = ezc3d.c3d(str(tmp_path / "a.c3d"))
    parameters = file["parameters"]["POINT"]
    assert parameters["RATE"]["value"].tolist() == [25] and parameters["UNITS"]["value"] == ["m"]
    assert tuple(parameters["LABELS"]["value"]) == names
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    known = ~np.isnan(places[..., 0])
    np.testing.assert_allclose(points[known], places[known], atol=1e-6)
    assert np.isnan(points[~known]).all()
