"""Annotated frames: the canvas, the panel, regions and trails."""

import numpy as np
import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.regions import Region
from hrpose_rt.sinks.rendering import DrawStyle, Renderer
from tests.sinks.test_video import results


@pytest.fixture
def result():
    """A frame with two people over stripes."""
    (frame,) = results(1)
    frame.frame.image[:, ::2] = 200
    return frame


def test_video_canvas_keeps_the_frame_and_leaves_it_unchanged(result) -> None:
    before = result.frame.image.copy()
    image = Renderer(DrawStyle()).render(result)
    assert (result.frame.image == before).all()
    np.testing.assert_array_equal(image, result.draw(overlay=True))


def test_black_and_blurred_canvas_show_people_and_nothing_of_the_video(result) -> None:
    black = Renderer(DrawStyle(canvas="black", panel=False)).render(result)
    np.testing.assert_array_equal(black, result.draw(np.zeros_like(black)))
    blur = Renderer(DrawStyle(canvas="blur", panel=False)).render(result, boxes=False)
    corner = blur[-8:, -8:].astype(int)
    assert np.ptp(corner, axis=(0, 1)).max() < 40  # no stripes
    assert abs(int(blur.mean()) - int(result.frame.image.mean())) < 40


def test_panel_can_be_left_out(result) -> None:
    without = Renderer(DrawStyle(panel=False)).render(result)
    np.testing.assert_array_equal(without, result.draw())


def test_edges_of_regions_are_drawn_faintly(result) -> None:
    h, w = result.frame.image.shape[:2]
    result.frame.image[:] = 0
    style = DrawStyle(panel=False, canvas="black", regions=(Region.parse(f"2,2,{w - 3},{h - 3}"),))
    image = Renderer(style).render(result, boxes=False)
    assert 50 < image[2, w // 2].max() < 150 and image[h - 3, 3].max() < 150


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_score": 1.5}, r"`min_score` is a score in 0\.\.1, not 1\.5"),
        ({"trails_s": -1}, "`trails_s` is a number of seconds, 0 or more, not -1"),
        ({"canvas": "white"}, "there is no `canvas` white: choose video, blur, black"),
    ],
)
def test_style_out_of_range_raises_bad_input(values, words) -> None:
    with pytest.raises(BadInput, match=words):
        DrawStyle(**values)
