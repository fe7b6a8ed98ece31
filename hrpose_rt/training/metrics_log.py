"""Output of a training run: a text log, metrics as JSON lines and TensorBoard events, and curves."""

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.errors import RuntimeMissing, install_hint
from hrpose_rt.paths import atomic_write

METRICS_FILE, LOG_FILE, CURVES_FILE = "metrics.jsonl", "train.log", "curves.png"
SMOOTH = 20  # losses averaged for each point of the curve


class MetricsLog:
    """Writes a run's `metrics.jsonl`, `train.log`, TensorBoard events and `curves.png`.

    Args:
        folder: Folder of the run.
        step: Step at which the run resumes. Metrics of later steps are removed from the files, since an
            interruption undid those steps.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RuntimeMissing(f"training needs tensorboard: {install_hint('train')}") from error
        self._metrics = folder / METRICS_FILE
        self._curves = folder / CURVES_FILE
        self._lines = [line for line in _read(self._metrics) if line["step"] <= step] if step else []
        self._metrics.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
        self._log = (folder / LOG_FILE).open("a" if step else "w", encoding="utf-8")
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        self._board = SummaryWriter(str(folder), purge_step=step or None)

    def log(self, text: str) -> None:
        """Write a line to the log."""
        self._log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")
        self._log.flush()

    def log_metrics(self, kind: str, step: int, **metrics: Any) -> None:
        """Record metrics after `step` steps; `kind` is "train" or "val"."""
        line = {"kind": kind, "step": step, **metrics}
        self._lines.append(line)
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in metrics.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def draw(self) -> None:
        """Redraw the curves."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.subplots(1, 2)
        train = [line for line in self._lines if line["kind"] == "train"]
        val = [line for line in self._lines if line["kind"] == "val"]
        axes[0].plot(
            [x["step"] for x in train], _smooth([x["loss"] for x in train]), label="train, smoothed"
        )
        axes[0].plot([x["step"] for x in val], [x["loss"] for x in val], label="kept out")
        axes[0].set(xlabel="steps", ylabel="loss", yscale="log")
        axes[0].legend()
        for name in ("oks", "pck"):
            axes[1].plot([x["step"] for x in val], [x[name] for x in val], marker=".", label=name)
        axes[1].set(xlabel="steps", ylabel="of people kept out", ylim=(0, 1))
        axes[1].legend()
        axes[1].grid(alpha=0.3)
        with atomic_write(self._curves) as file:
            figure.savefig(file, format="png", dpi=100)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        self._board.close()


def _smooth(values: list[float]) -> list[float]:
    """Moving average of each value and its neighbours, over `SMOOTH` values."""
    half = SMOOTH // 2
    return [float(np.mean(values[max(i - half, 0) : i + half])) for i in range(len(values))]


def _read(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a file whose last line may be cut off."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
