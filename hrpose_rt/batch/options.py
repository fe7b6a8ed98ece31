"""What a batch does with each of its videos."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hrpose_rt.batch.fingerprint import fingerprint_of_file
from hrpose_rt.batch.parcel import FILES
from hrpose_rt.config import Settings
from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.sinks.encoders import check_encoder
from hrpose_rt.sinks.formats import RESULT_FORMATS
from hrpose_rt.sources.base import check_hwaccel

VIDEO = "video"  # the output with the people drawn
PARQUET = "parquet"  # the table of the people of all videos
OUTPUTS = (*RESULT_FORMATS, VIDEO, PARQUET)
LEAD_S = 2.0  # how much earlier than its cut a part of a video begins
MIN_SPLIT_S = 5 * LEAD_S
OpenPipeline = Callable[[Settings], PosePipeline]


@dataclass(frozen=True, slots=True)
class Options:
    """What is done with each video of a batch.

    >>> from hrpose_rt import Settings
    >>> from hrpose_rt.batch.options import Options
    >>> options = Options(Settings(det_score=0.5), outputs=("json", "csv"))
    >>> options.changes(Options(outputs=("json",)).facts())
    ['outputs was json and is csv,json', 'det_score was 0.25 and is 0.5']

    Attributes:
        settings: The networks, and how to run them. `threads` are those of one worker.
        outputs: Which files a video gets: any of `OUTPUTS`.
        stride: Every Nth frame is run.
        split_s: Length of the parts that a long video is cut into, in seconds; 0 does not cut.
        style: How people are drawn in a video.
        hwaccel, encoder: What decodes and encodes videos; see `open_source` and `VideoSink`.
        open_pipeline: Opens the pipeline of a worker; a function that `pickle` finds by its name.
        contents: Hashes of the files that settings name, by setting. They are taken where the batch is
            called; a worker elsewhere has these files at other paths.

    Raises:
        BadInput: There is no such output, device or encoder, or the parts are too short.
        RuntimeMissing: An output needs a library that is not installed.
    """

    settings: Settings = Settings()
    outputs: tuple[str, ...] = ("json",)
    stride: int = 1
    split_s: float = 0.0
    style: DrawStyle = field(default=DRAW_STYLE)
    hwaccel: str = "none"
    encoder: str = "x264"
    open_pipeline: OpenPipeline = PosePipeline
    contents: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.contents is None:
            object.__setattr__(self, "contents", _contents(self.settings))
        check_hwaccel(self.hwaccel)
        check_encoder(self.encoder)
        for name in self.outputs:
            if name not in OUTPUTS:
                raise BadInput(f"`outputs` has no {name}: choose {', '.join(OUTPUTS)}")
        if not self.outputs:
            raise BadInput(f"`outputs` is empty: choose {', '.join(OUTPUTS)}")
        if PARQUET in self.outputs and not find_spec("pyarrow"):
            raise RuntimeMissing(f"`parquet` needs pyarrow: {install_hint('cluster')}")
        if self.split_s and self.split_s < MIN_SPLIT_S:
            raise BadInput(
                f"`split` is {self.split_s:g} s: parts are at least {MIN_SPLIT_S:g} s long, because each "
                f"begins {LEAD_S:g} s early; 0 cuts no video"
            )
        if self.settings.boxes:
            raise BadInput("`boxes` has the people of one video: run that one by itself")

    def facts(self) -> dict[str, Any]:
        """Everything here that decides what is written, as plain values."""
        settings = asdict(self.settings)
        del settings["threads"]
        facts = {
            "outputs": ",".join(sorted(self.outputs)),
            "stride": self.stride,
            "split": self.split_s,
            **settings,
            **{f"{name}_content": content for name, content in (self.contents or {}).items()},
        }
        if VIDEO in self.outputs:
            facts |= {"canvas": self.style.canvas, "blur_faces": self.style.blur_faces}
        # As JSON has them: no tuples, which a report that is read again would have lost.
        return dict(json.loads(json.dumps(facts)))

    def key(self) -> str:
        """A hash of `facts` in hex."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()[:16]

    def changes(self, before: dict[str, Any]) -> list[str]:
        """In words, where these options differ from the `facts` of earlier ones."""
        now = self.facts()
        return [
            f"{name} was {_shown(before.get(name))} and is {_shown(now.get(name))}"
            for name in {**now, **before}
            if before.get(name) != now.get(name)
        ]


def _contents(settings: Settings) -> dict[str, str]:
    """Hashes of the files that settings name, by setting."""
    paths = {name: Path(getattr(settings, name)) for name in (*FILES, "pose", "detector")}
    files = {name: path for name, path in paths.items() if path.suffix and path.is_file()}
    return {name: fingerprint_of_file(path) for name, path in files.items() if os.access(path, os.R_OK)}


def _shown(value: Any) -> str:
    return "not set" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)
