"""Heights, the ground plane and speeds, worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.kinematics.scale import Ground, Height, body_height_px, parse_scale, speeds
from hrpose_rt.skeleton import COCO17, find_skeleton
from tests.kinematics.walkers import PLACES, walking

CORNERS = {
    "pixels": [[0, 200], [640, 200], [420, 100], [220, 100]],
    "metres": [[0, 0], [4, 0], [4, 6], [0, 6]],
}


def test_height_is_the_sum_of_the_segments() -> None:
    """Shank 40, thigh 40 and flank 60; from the shoulders to the nose, 10 aside and 20 up, 1.5 times."""
    segments = 40 + 40 + 60 + 1.5 * np.hypot(10, 20)
    assert body_height_px(walking(5), COCO17) == pytest.approx(segments / 0.961 * 1.063)


def test_height_is_a_median_over_frames_that_have_every_segment() -> None:
    keypoints = walking(5)
    whole = body_height_px(keypoints, COCO17)
    keypoints[0] *= 3  # one frame is wrong
    keypoints[1, 0] = np.nan  # one has no nose
    keypoints[2, COCO17.joints.index("left_knee")] = np.nan  # and one only the right leg
    assert body_height_px(keypoints, COCO17) == pytest.approx(whole)
    keypoints[:, 0] = np.nan
    assert np.isnan(body_height_px(keypoints, COCO17))


def test_height_takes_the_head_where_the_skeleton_has_it() -> None:
    halpe = find_skeleton("halpe26")
    keypoints = np.full((1, 26, 2), np.nan)
    keypoints[0, :17] = PLACES
    keypoints[0, halpe.joints.index("head")] = (100, 0)
    assert body_height_px(keypoints, halpe) == pytest.approx((140 + 1.008 * 40) / 0.961 * 1.063)


def test_ground_maps_its_corners_and_the_middle_of_a_trapezoid() -> None:
    ground = Ground.from_points(**CORNERS)
    np.testing.assert_allclose(ground.place(CORNERS["pixels"]), CORNERS["metres"], atol=1e-9)
    # The diagonals of the trapezoid cross where those of the rectangle do, in its middle.
    crossing = [320, 200 - 100 * 640 / (640 + 200)]
    np.testing.assert_allclose(ground.place([crossing]), [[2, 3]], atol=1e-9)
    assert np.isnan(ground.place([[np.nan, 3]])).all()


def test_speeds_are_central_differences() -> None:
    positions = np.array([[0, 0], [3, 4], [6, 8], [np.nan, np.nan], [0, 0]], np.float64)
    measured = speeds(positions, np.array([0, 0.1, 0.2, 0.3, 0.4]))
    assert measured.tolist() == pytest.approx([50, 50, np.nan, np.nan, np.nan], nan_ok=True)
    assert np.isnan(speeds(np.zeros((1, 17, 2)), np.zeros(1))).all()


def test_scales_are_parsed(tmp_path: Path) -> None:
    assert parse_scale("height=1.80") == Height(1.8)
    (tmp_path / "points.json").write_text(json.dumps(CORNERS))
    ground = parse_scale(str(tmp_path / "points.json"))
    assert isinstance(ground, Ground) and ground.place([[0, 200]]).round(6).tolist() == [[0, 0]]


@pytest.mark.parametrize("text", ["height=180", "height=tall", "height=", "height=nan"])
def test_impossible_heights_are_refused(text) -> None:
    with pytest.raises(BadInput, match=rf"`scale` {text}: give 0.3 to 3 metres, such as height=1.80"):
        parse_scale(text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"points.json cannot be read \(No such file or directory\): check the path"),
        (
            {"pixels": [[0, 0]] * 3, "metres": [[0, 0]] * 3},
            r"pixels: expected array of length >= 4\): give pix",
        ),
        ({"pixels": CORNERS["pixels"]}, "has no points of the ground .*metres"),
        (
            {"pixels": [*CORNERS["pixels"], [1, 1]], "metres": CORNERS["metres"]},
            "has 5 pixels and 4 metres",
        ),
        (
            {"pixels": [[0, 0], [1, 1], [2, 2], [3, 3]], "metres": CORNERS["metres"]},
            "are on a line: give the",
        ),
    ],
)
def test_wrong_points_are_refused(content, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if content:
        Path("points.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=words):
        parse_scale("points.json")


def test_other_scales_are_refused() -> None:
    with pytest.raises(BadInput, match=r"`scale` 1.8: give height=METRES, or a .json file with points"):
        parse_scale("1.8")
    with pytest.raises(BadInput, match=r"a ground has four or more points"):
        Ground.from_points([[0, 0]], [[0, 0]])
