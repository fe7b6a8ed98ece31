"""Annotated frames: the canvas, the panel, regions and trails."""

from dataclasses import replace

import numpy as np
import pytest

from hrpose_rt.drawing.style import DrawStyle
from hrpose_rt.regions import Region
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.rendering import Renderer
from hrpose_rt.types import Detections, Poses
from tests.sinks.test_video import results


def moving() -> list[FrameResult]:
    """Three frames in which a person with an id walks to the right."""
    (still,) = results(1, size_wh=(320, 240))
    frames = []
    for i in range(3):
        boxes = np.array([[20 + 60 * i, 20, 80 + 60 * i, 200]], np.float32)
        nowhere = Poses.estimated(np.zeros((1, 17, 2), np.float32), np.zeros((1, 17), np.float32))
        found = Detections.found(boxes, np.ones(1, np.float32))
        frame = replace(still.frame, time_s=i / 10)
        frames.append(replace(still, frame=frame, detections=found, poses=nowhere, track_ids=np.array([3])))
    return frames


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
    np.testing.assert_array_equal(image, result.draw())


def test_black_and_blurred_canvas_show_people_and_nothing_of_the_video(result) -> None:
    black = Renderer(DrawStyle(canvas="black")).render(result)
    np.testing.assert_array_equal(black, result.draw(np.zeros_like(black)))
    blur = Renderer(DrawStyle(canvas="blur", boxes=False)).render(result)
    corner = blur[-8:, -8:].astype(int)
    assert np.ptp(corner, axis=(0, 1)).max() < 40  # no stripes
    assert abs(int(blur.mean()) - int(result.frame.image.mean())) < 40


def test_panel_is_drawn_into_the_corner(result) -> None:
    panel = Renderer(DrawStyle(panel=True)).render(result)
    assert (panel[:2, :2] != result.draw()[:2, :2]).any()


def test_faces_are_blurred_below_what_is_drawn(result) -> None:
    plain = result.draw(style=DrawStyle(boxes=False))
    blurred = result.draw(style=DrawStyle(boxes=False, blur_faces=True))
    assert result.frame.image[:, ::2].min() == 200
    people = result.draw(np.zeros_like(plain), DrawStyle(boxes=False)).any(axis=2)
    assert (blurred != plain).any() and people.any()


def test_trails_need_the_frames_before() -> None:
    renderer = Renderer(DrawStyle(canvas="black", trails_s=9, boxes=False))
    pictures = [renderer.render(result) for result in moving()]
    assert not pictures[0][200, 60:160].any() and pictures[2][200, 60:160].any(axis=1).all()


def test_edges_of_regions_are_drawn_faintly(result) -> None:
    h, w = result.frame.image.shape[:2]
    result.frame.image[:] = 0
    style = DrawStyle(boxes=False, canvas="black", regions=(Region.parse(f"2,2,{w - 3},{h - 3}"),))
    image = Renderer(style).render(result)
    assert 50 < image[2, w // 2].max() < 150 and image[h - 3, 3].max() < 150
