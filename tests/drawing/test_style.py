"""Values of a style that are out of range."""

import numpy as np
import pytest

from hrpose_rt.drawing.style import DrawStyle, parse_labels
from hrpose_rt.errors import BadInput


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_score": 1.5}, r"`min_score` is a score in 0\.\.1, not 1\.5"),
        ({"trails_s": -1}, "`trails_s` is a number of seconds, 0 or more, not -1"),
        ({"canvas": "white"}, "there is no `canvas` white: choose video, blur, black"),
        ({"color": "red"}, "there is no `color` red: choose side, person, score"),
        (
            {"line_width": -1},
            "`line_width` is a number of pixels, 1 to 50, or 0 for one that fits",
        ),
        ({"min_score": "0.5"}, "`min_score` is '0.5': expected float, got str"),
        ({"blur_faces": "no"}, "`blur_faces` is 'no': expected bool, got str"),
        ({"line_width": 2.5}, r"`line_width` is 2\.5: expected int, got float"),
        ({"canvas": np.zeros((99, 99))}, r"`canvas` is array.{,80}: expected str, got numpy\.ndarray"),
        ({"labels": "id"}, "`labels` is 'id': expected tuple, got str"),
        ({"regions": "0,0,9,9"}, "`regions` is '0,0,9,9': expected tuple, got str"),
        ({"labels": ("name",)}, "`labels` has no name: choose id, score or none"),
    ],
)
def test_style_out_of_range_raises_bad_input(values, words) -> None:
    with pytest.raises(BadInput, match=words):
        DrawStyle(**values)


@pytest.mark.parametrize(
    ("text", "parts"), [("id,score", ("id", "score")), ("score, id", ("score", "id")), ("none", ())]
)
def test_labels_are_parsed(text, parts) -> None:
    assert parse_labels(text) == parts


def test_none_with_others_is_no_label() -> None:
    with pytest.raises(BadInput, match="`labels` has no none: choose"):
        DrawStyle(labels=parse_labels("id,none"))
