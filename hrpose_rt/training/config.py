"""Settings of a training run as a value, stored with the run and compared on resume."""

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
    """Epochs at one resolution: "128x96:8" on the command line."""

    input_hw: tuple[int, int]
    epochs: int

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps."""
        return heatmap_size(self.input_hw)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Annotations, the folder of their images, and their weight.

    Attributes:
        annotations: A COCO keypoint file or an MPII JSON file.
        images: The folder; None for `images` beside the annotations.
        weight: How often an epoch shows each person.
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
        """Read the data set."""
        return load_people(self.annotations, self.images)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that determines the result of a run.

    Attributes:
        model: Name of the HRNet.
        data: Data sets to train on.
        stages: Resolutions and epochs.
        recipe: The recipe.
        val: Data sets to select the best epoch on. If empty, the hash of the file name holds out 1 in
            `hold_out` images of `data`: they are not trained on, and their human-labelled people select.
        hold_out: One in this many images is held out.
        init: A checkpoint to start from; empty for random weights.
        teacher: A teacher network for distillation; empty for none.
        precision: "fp32" or "bf16".
        freeze_bn: Keep the batch norms' statistics fixed.
        seed: Random seed.
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
        """Raise BadInput if a value is invalid."""
        choices = {"model": (self.model, tuple(CONFIGS)), "precision": (self.precision, ("fp32", "bf16"))}
        for what, (value, known) in choices.items():
            if value not in known:
                raise BadInput(f"there is no {what} {value!r} to train: choose {', '.join(known)}")
        if self.recipe.batch < 1 or self.recipe.lr <= 0 or self.hold_out < 2:
            raise BadInput("`batch` is at least 1, `lr` more than 0, `hold_out` at least 2")
        if self.seed < 0:
            raise BadInput(f"`seed` is {self.seed}: give 0 or more")

    def val_sets_in_training(self) -> list[Path]:
        """The annotations in `val` that are also trained on."""
        trained = {find_data(data.annotations).resolve() for data in self.data}
        return [d.annotations for d in self.val if find_data(d.annotations).resolve() in trained]

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values, paths as text."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def differences(self, other: dict[str, Any]) -> list[str]:
        """The names of the fields that differ from `other`, a value of `as_json`."""
        values = self.as_json()
        # A run from before a recipe field existed used what is now the field's default.
        defaults = {f.name: _plain(f.default) for f in fields(Recipe) if f.default is not MISSING}
        other = other | {"recipe": defaults | other.get("recipe", {})}
        return [name for name, value in values.items() if other.get(name) != value]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a training run is carried out; nothing here changes its result.

    Attributes:
        folder: Folder of the run; process 0 writes there.
        workers: Processes that make batches; 0 for none.
        save_every: Steps between checkpoints, besides those after every epoch.
    """

    folder: Path
    workers: int = 0
    save_every: int = 500

    def __post_init__(self) -> None:
        if self.save_every < 1:
            raise BadInput(f"`save_every` is {self.save_every}: give 1 step or more")


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
