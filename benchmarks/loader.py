"""Training steps per second with the data loader, against batches already in memory.

    python benchmarks/loader.py ANNOTATIONS [IMAGES]

The promise is a ratio of at least 0.9, once the images are decoded. It runs on a single thread, as one of
several training processes does. Both variants alternate within this process; the machine should be idle.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hrpose_rt.evaluation.annotations import load_people
from hrpose_rt.hardware import cpu_features, cpu_name
from hrpose_rt.training.config import DataSet, RunOptions, Stage, TrainSettings
from hrpose_rt.training.dataset import Batch, CropDataset, ImageCache, load, plan
from hrpose_rt.training.distributed import DistributedContext
from hrpose_rt.training.recipes import MODERN
from hrpose_rt.training.trainer import TrainData, Trainer

PROMISE = 0.9
BATCH, STEPS, ROUNDS = 32, 8, 5


def main(annotations: Path, images: Path | None) -> int:
    """Measure at two resolutions; returns 1 if the promise is broken."""
    torch.set_num_threads(1)
    people = load_people(annotations, images)
    people = people.select(np.flatnonzero(people.labelled.any(axis=1))[: BATCH * STEPS])
    print(f"{cpu_name()} ({', '.join(cpu_features())}), one thread, bf16, batch {BATCH}")
    ratios = [ratio(people, hw) for hw in ((128, 96), (256, 192))]
    return int(min(ratios) < PROMISE)


def ratio(people, hw: tuple[int, int]) -> float:
    """Steps per second with the loader divided by those without, the median of several rounds."""
    stage, recipe = Stage(hw, 1), replace(MODERN, batch=BATCH)
    source = (DataSet(Path("people.json")),)
    settings = TrainSettings("hrnet-w16-lite", source, (stage,), recipe, source, precision="bf16")
    images = ImageCache(2**31)
    dataset = CropDataset(people, recipe, stage, 0, images)
    keys = plan(np.arange(len(people)), 0, BATCH)[:STEPS]
    ready = list(load(dataset, keys, workers=0, pinned=False))  # also decodes the images
    with tempfile.TemporaryDirectory() as folder:
        data = TrainData(people, people, ((len(people), 1.0),))
        alone = DistributedContext(0, 1, torch.device("cpu"))
        trainer = Trainer(settings, data, alone, RunOptions(Path(folder)), images)
        seconds(trainer, ready)
        found = []
        for _ in range(ROUNDS):
            without = seconds(trainer, ready)
            found.append(without / seconds(trainer, load(dataset, keys, workers=0, pinned=False)))
    middle = statistics.median(found)
    print(f"{hw[0]}x{hw[1]}: {middle:.3f} of {STEPS * BATCH / without:.0f} people a second")
    return middle


def seconds(trainer: Trainer, batches: Iterable[Batch]) -> float:
    begin = time.perf_counter()
    for batch in batches:
        trainer.step(batch, 1e-4)
    return time.perf_counter() - begin


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:]), *[None] * (3 - len(sys.argv))))
