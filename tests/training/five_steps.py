"""Run by test_training, alone or by torchrun: five steps with batch norm frozen; prints the losses."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from hrpose_rt.training.config import DataSet, RunOptions, Stage, TrainSettings
from hrpose_rt.training.dataset import ImageCache
from hrpose_rt.training.distributed import init_distributed
from hrpose_rt.training.recipes import MODERN
from hrpose_rt.training.trainer import Trainer, load_data


class Enough(Exception):
    """Five steps are done."""


def main(annotations: str, folder: str) -> None:
    sets = (DataSet(Path(annotations)),)
    recipe = replace(MODERN, batch=8)
    settings = TrainSettings("hrnet-w16-lite", sets, (Stage((64, 64), 9),), recipe, sets, freeze_bn=True)
    losses: list[float] = []

    def tick(loss: float) -> None:
        losses.append(loss)
        if len(losses) == 5:
            raise Enough

    with init_distributed("cpu") as world:
        data = load_data(sets, sets, 10)
        trainer = Trainer(settings, data, world, RunOptions(Path(folder)), ImageCache(2**24))
        try:
            trainer.run(None, tick)
        except Enough:
            pass
        if world.main:
            print(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
