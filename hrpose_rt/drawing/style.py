"""How frames are drawn."""

from dataclasses import dataclass

from hrpose_rt.errors import BadInput
from hrpose_rt.regions import Region
from hrpose_rt.structures import check_fields

MIN_SCORE = 0.3  # default lowest score of a drawn keypoint
MAX_LINE_WIDTH = 50
CANVASES = ("video", "blur", "black")
COLOURINGS = ("side", "person", "score")
LABEL_PARTS = ("id", "score")


@dataclass(frozen=True, slots=True)
class DrawStyle:
    """How frames are drawn.

    >>> from hrpose_rt import DrawStyle, stream
    >>> style = DrawStyle(color="person", labels=("id",), blur_faces=True)
    >>> pictures = [result.draw(style=style) for result in stream("video.mp4")]
    >>> pictures[0].shape
    (48, 64, 3)

    Attributes:
        min_score: Keypoints with a lower score are not drawn, in 0..1.
        canvas: What is under the people: "video", a "blur" of it that hides everybody, or "black".
        panel: Whether the milliseconds of each stage are in the corner.
        trails_s: Length of the drawn paths of people in seconds; 0 draws none. Only a run draws them: they
            need the frames before.
        regions: Parts of the frame whose edges are drawn.
        color: What the colours mean. With "side", limbs have the colour of their side of the body and
            keypoints that of their score. With "person", both have the colour of the id. With "score",
            keypoints have the colour of their score, and limbs that of the lower one.
        line_width: Width of limbs in pixels, 1 to 50; 0 chooses it by the height of the person.
        labels: What the label of a person says: "id", "score", both or nothing.
        boxes: Whether boxes and labels are drawn.
        blur_faces: Whether the heads of all people found are blurred, before anything is drawn. It hides
            nobody who was not found.

    Raises:
        BadInput: A value has another type, or is out of range.
    """

    min_score: float = MIN_SCORE
    canvas: str = "video"
    panel: bool = False
    trails_s: float = 0.0
    regions: tuple[Region, ...] = ()
    color: str = "side"
    line_width: int = 0
    labels: tuple[str, ...] = LABEL_PARTS
    boxes: bool = True
    blur_faces: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.min_score <= 1:
            raise BadInput(f"`min_score` is a score in 0..1, not {self.min_score:g}")
        if self.canvas not in CANVASES:
            raise BadInput(f"there is no `canvas` {self.canvas}: choose {', '.join(CANVASES)}")
        if not self.trails_s >= 0:
            raise BadInput(f"`trails_s` is a number of seconds, 0 or more, not {self.trails_s:g}")
        if self.color not in COLOURINGS:
            raise BadInput(f"there is no `color` {self.color}: choose {', '.join(COLOURINGS)}")
        if not 0 <= self.line_width <= MAX_LINE_WIDTH:
            raise BadInput(
                f"`line_width` is a number of pixels, 1 to {MAX_LINE_WIDTH}, or 0 for one that fits the "
                f"person, not {self.line_width}"
            )
        if unknown := [part for part in self.labels if part not in LABEL_PARTS]:
            raise BadInput(f"`labels` has no {unknown[0]}: choose {', '.join(LABEL_PARTS)} or none")


DRAW_STYLE = DrawStyle()


def parse_labels(text: str) -> tuple[str, ...]:
    """The parts of a label from "id,score", "id", "score" or "none".

    >>> parse_labels("id,score"), parse_labels("none")
    (('id', 'score'), ())
    """
    parts = tuple(part.strip() for part in text.split(","))
    return () if parts == ("none",) else parts
