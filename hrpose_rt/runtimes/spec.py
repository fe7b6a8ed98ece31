"""What an engine file holds, written beside it as JSON: nothing about it has to be guessed."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hrpose_rt.errors import BadInput
from hrpose_rt.skeleton import SKELETON_SUFFIXES

SPEC_SCHEMA = 1
Task = Literal["pose", "detection"]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A network as its users need to know it.

    Attributes:
        model: Its name.
        task: "pose" (crops to heatmaps) or "detection" (images to boxes).
        inputs_hw: Heights and widths it may be fed with; pose networks have exactly one.
        precision: What its weights and arithmetic are stored as: "fp32".
        weights_sha256: Of the checkpoint it was made from.
        skeleton: Pose: the name of its joints' `Skeleton`, or the path of a file that describes it,
            which in JSON starts from the folder of the spec.
        heatmap_hw: Pose: height and width of its heatmaps.
        decode: Pose: how its heatmaps are read by default, "quarter" or "dark".
    """

    model: str
    task: Task
    inputs_hw: tuple[tuple[int, int], ...]
    precision: str
    weights_sha256: str
    skeleton: str = ""
    heatmap_hw: tuple[int, int] = (0, 0)
    decode: str = "quarter"

    @property
    def input_hw(self) -> tuple[int, int]:
        """The first of `inputs_hw`."""
        return self.inputs_hw[0]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({"schema": SPEC_SCHEMA} | asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "EngineSpec":
        """Read it; BadInput names the file and what is wrong with it."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text())
            schema = fields.pop("schema")
            if schema != SPEC_SCHEMA:
                raise ValueError(f"schema {schema}, this version reads {SPEC_SCHEMA}")
            fields["inputs_hw"] = tuple((int(h), int(w)) for h, w in fields["inputs_hw"])
            fields["heatmap_hw"] = tuple(fields["heatmap_hw"])
            spec = cls(**fields)
            if spec.skeleton.endswith(SKELETON_SUFFIXES):
                spec = replace(spec, skeleton=str(path.parent / spec.skeleton))
            return spec
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{path} does not describe an engine ({error}): export the model again"
            ) from error


def spec_path(engine: Path) -> Path:
    """Where the spec of an engine file lies."""
    return engine.with_suffix(".json")
