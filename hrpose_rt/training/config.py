"""What a training run is, as a value that can be written down and compared."""

import re
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import AnnotatedPeople, find_data, load_people
from hrpose_rt.nets.hrnet_config import CONFIGS, heatmap_size
from hrpose_rt.training.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Stage:
    """Some epochs at one resolution: "128x96:8" on the command line."""

    input_hw: tuple[int, int]
    epochs: int

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps."""
        return heatmap_size(self.input_hw)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Annotations, the folder of their images and how often they are shown.

    Attributes:
        annotations: A COCO keypoint file or an MPII json.
        images: The folder; None for `images` beside the annotations.
        weight: Times an epoch.
    """

    annotations: Path
    images: Path | None = None
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "DataSet":
        """Read "annotations.json", "annotations.json:images" or "annotations.json:images:0.5"."""
        annotations, _, rest = text.partition(":")
        images, _, weight = rest.partition(":")
        try:
            number = float(weight) if weight else 1.0
        except ValueError:
            number = -1.0
        if not annotations or not 0 < number < 1000:
            raise BadInput(
                f"{text!r} is no set of data: write ANNOTATIONS[:IMAGES[:WEIGHT]], weight above 0"
            )
        return cls(Path(annotations), Path(images) if images else None, number)

    def load(self) -> AnnotatedPeople:
        """Read it."""
        return load_people(self.annotations, self.images)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that decides what a run computes.

    Attributes:
        model: Which HRNet.
        data: What to train on.
        stages: At which resolutions, how long.
        recipe: How.
        val: What to select on; empty for a hashed `hold_out`-th part of the pictures in `data`, of
            which the people with human labels are selected on and nobody is trained on.
        hold_out: One picture in so many.
        init: A checkpoint to start from; empty for random weights.
        teacher: A network to learn from; empty for none.
        precision: "fp32" or "bf16".
        freeze_bn: Leave the batch norms' statistics as they are.
        seed: Of all chance.
    """

    model: str
    data: tuple[DataSet, ...]
    stages: tuple[Stage, ...]
    recipe: Recipe
    val: tuple[DataSet, ...] = ()
    hold_out: int = 10
    init: str = ""
    teacher: str = ""
    precision: str = "fp32"
    freeze_bn: bool = False
    seed: int = 0

    def check(self) -> None:
        """Raise BadInput where a value makes no sense."""
        choices = {"model": (self.model, tuple(CONFIGS)), "precision": (self.precision, ("fp32", "bf16"))}
        for what, (value, known) in choices.items():
            if value not in known:
                raise BadInput(f"there is no {what} {value!r} to train: choose {', '.join(known)}")
        if self.recipe.batch < 1 or self.recipe.lr <= 0 or self.hold_out < 2:
            raise BadInput("`batch` is at least 1, `lr` more than 0, `hold_out` at least 2")

    def val_sets_in_training(self) -> list[Path]:
        """The annotations that are trained on and select, too."""
        trained = {find_data(data.annotations).resolve() for data in self.data}
        return [d.annotations for d in self.val if find_data(d.annotations).resolve() in trained]

    def as_json(self) -> dict[str, Any]:
        """As plain values, paths as text."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def differences(self, other: dict[str, Any]) -> list[str]:
        """The names of the fields in which `other`, from `as_json`, is another run."""
        mine = self.as_json()
        # A run that was begun before a recipe had a field went by what is now its default.
        usual = {f.name: _plain(f.default) for f in fields(Recipe) if f.default is not MISSING}
        other = other | {"recipe": usual | other.get("recipe", {})}
        return [name for name, value in mine.items() if other.get(name) != value]


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read "128x96:8,256x192:2": height x width : epochs."""
    stages = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)x(\d+):(\d+)", part.strip())
        numbers = [int(n) for n in match.groups()] if match else [0, 0, 0]
        h, w, epochs = numbers
        if not (h and w and epochs) or h % 32 or w % 32:
            raise BadInput(
                f"{part!r} is no stage: write HEIGHTxWIDTH:EPOCHS, height and width multiples of 32, "
                "such as 128x96:8,256x192:2"
            )
        stages.append(Stage((h, w), epochs))
    return tuple(stages)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
