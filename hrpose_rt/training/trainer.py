"""The training loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.evaluation.annotations import AnnotatedPeople, join
from hrpose_rt.evaluation.contact_sheet import save_contact_sheet, thumbnail
from hrpose_rt.evaluation.per_joint import MatchedPerson
from hrpose_rt.nets.hrnet import HRNet, draw_weights
from hrpose_rt.nets.hrnet_config import CONFIGS
from hrpose_rt.training.amp import autocast, normalized
from hrpose_rt.training.checkpoints import Ema, Progress, load_last, save_best, save_last, start_from
from hrpose_rt.training.config import DataSet, RunOptions, TrainSettings
from hrpose_rt.training.dataset import Batch, CropDataset, ImageCache, SampleKeys, epoch_rows, load, plan
from hrpose_rt.training.distillation import TeacherHeatmaps
from hrpose_rt.training.distributed import DistributedContext
from hrpose_rt.training.metrics_log import MetricsLog
from hrpose_rt.training.optimizer import optimizer_for
from hrpose_rt.training.recipes import learning_rate
from hrpose_rt.training.validation import METRIC_NAMES, Validation, heatmap_loss, validate

LOG_EVERY = 10  # steps
SAMPLES = 16  # people drawn with their poses after every epoch
Tick = Callable[[int, int, float], None]  # stage, people shown, loss


@dataclass(frozen=True, slots=True)
class TrainData:
    """The people to train on and to validate on.

    Attributes:
        train, val: The people.
        shares: For `train`: people and weight of each set, in order.
        jointless: Number of people left out of `train` because they have no labelled joint.
    """

    train: AnnotatedPeople
    val: AnnotatedPeople
    shares: tuple[tuple[int, float], ...]
    jointless: int = 0


def load_data(
    sets: Sequence[DataSet], val: Sequence[DataSet], hold_out: int, unlabelled: bool = False
) -> TrainData:
    """Read a run's data.

    Args:
        sets: Data sets to train on.
        val: Data sets to validate on. If empty, the hash of the file name holds out 1 in `hold_out` images
            of `sets`: they are not trained on, and their human-labelled people validate.
        hold_out: One in this many images is held out.
        unlabelled: Keep people without labelled joints, for a teacher to label.

    Raises:
        BadInput: A file is missing or wrong, or no people are left to train or to validate on.
    """
    if hold_out < 2:
        raise BadInput(f"`hold_out` is {hold_out}: give 2 or more")
    people = [(data.load(), data.weight) for data in sets]
    if val:
        val_people = join(data.load() for data in val)
    else:
        val_people = join(p.select(p.held_out(hold_out) & p.human_labelled) for p, _ in people)
        people = [(p.select(~p.held_out(hold_out)), weight) for p, weight in people]
    val_people = val_people.select(val_people.labelled.any(axis=1))
    count = sum(len(p) for p, _ in people)
    if not unlabelled:
        people = [(p.select(p.labelled.any(axis=1)), weight) for p, weight in people]
    train = join(p for p, _ in people)
    for group, purpose in ((train, "to train on"), (val_people, "to judge by")):
        if not len(group):
            raise BadInput(f"the data have nobody {purpose}: give more with `data`, or people with `val`")
    if train.skeleton is not val_people.skeleton:
        raise BadInput(f"`val` has {val_people.skeleton.name} joints, `data` {train.skeleton.name}")
    shares = tuple((len(p), weight) for p, weight in people)
    return TrainData(train, val_people, shares, jointless=count - len(train))


class Trainer:
    """One run: a network, its optimizer and its progress.

    Args:
        settings: Settings of the run.
        data: From `load_data`.
        distributed: This process within a distributed run.
        options: Folder of the run, loader processes and checkpoint interval.
        images: The image cache.
        teacher: The teacher's heatmaps of `data.train`.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: TrainData,
        distributed: DistributedContext,
        options: RunOptions,
        images: ImageCache,
        teacher: TeacherHeatmaps | None = None,
    ) -> None:
        self._settings, self._data, self._distributed = settings, data, distributed
        self._options, self._folder = options, options.folder
        self._images, self._teacher = images, teacher
        recipe = settings.recipe
        if recipe.batch % distributed.size:
            raise BadInput(f"a batch of {recipe.batch} cannot be shared by {distributed.size} processes")
        torch.manual_seed(settings.seed)
        config = CONFIGS[settings.model].with_joints(len(data.train.skeleton.joints))
        self.net = HRNet(config)
        if recipe.init_std:
            draw_weights(self.net, recipe.init_std)
        self.missing = start_from(self.net, Path(settings.init)) if settings.init else []
        self.net.to(memory_format=torch.channels_last).to(distributed.device)
        self._model: nn.Module = self.net
        if distributed.size > 1:
            self._model = nn.parallel.DistributedDataParallel(self.net)
        self._optimizer = optimizer_for(recipe, self.net)
        self._ema = Ema(self.net, recipe.ema)
        self._ema_net = HRNet(config).to(memory_format=torch.channels_last).to(distributed.device)
        self.progress = Progress()
        self._loss = 0.0
        self.epoch_steps = -(-len(epoch_rows(data.shares, 0, 0)) // recipe.batch)
        self._epochs = sum(stage.epochs for stage in settings.stages)
        self.steps = self.epoch_steps * self._epochs

    def resume(self) -> None:
        """Continue from `last.pth`."""
        self.progress = load_last(self._folder, self._settings, self.net, self._ema, self._optimizer)

    def pixels(self, steps: int | None = None) -> int:
        """Pixels shown after that many steps, of all by default: the measure of a run's time."""
        total, left = 0, self.steps if steps is None else steps
        for stage in self._settings.stages:
            stage_steps = min(left, stage.epochs * self.epoch_steps)
            total += stage_steps * self._settings.recipe.batch * stage.input_hw[0] * stage.input_hw[1]
            left -= stage_steps
        return total

    def save(self) -> None:
        """Write `last.pth`."""
        if self._distributed.main:
            save_last(self._folder, self._settings, self.net, self._ema, self._optimizer, self.progress)

    def run(self, log: MetricsLog | None, tick: Callable[[float], None]) -> None:
        """Train to the end.

        Args:
            log: Process 0's log; None in the others.
            tick: Called with the loss after every step.

        Raises:
            RunBroken: The loss is not finite any more; `last.pth` is from before.
        """
        first_epoch = 0
        for number, stage in enumerate(self._settings.stages):
            if self.progress.step == first_epoch * self.epoch_steps:
                self.progress.best = -1.0  # the best epoch is chosen at the last resolution
            dataset = CropDataset(
                people=self._data.train,
                recipe=self._settings.recipe,
                stage=stage,
                seed=self._settings.seed,
                images=self._images,
                teacher=self._teacher,
            )
            for epoch in range(first_epoch, first_epoch + stage.epochs):
                if self.progress.step < (epoch + 1) * self.epoch_steps:
                    self._epoch(dataset, number, epoch, first_epoch, log, tick)
                    self._validate(number, epoch + 1, log)
                    self.save()
            first_epoch += stage.epochs

    def _epoch(
        self,
        dataset: CropDataset,
        stage: int,
        epoch: int,
        first_epoch: int,
        log: MetricsLog | None,
        tick: Callable[[float], None],
    ) -> None:
        keys = self._keys(epoch)[self.progress.step - epoch * self.epoch_steps :]
        stage_steps = self._settings.stages[stage].epochs * self.epoch_steps
        for batch in load(
            dataset, keys, self._options.workers, pinned=self._distributed.device.type == "cuda"
        ):
            step = self.progress.step
            stage_share = (step - first_epoch * self.epoch_steps) / stage_steps
            run_share = step / self.steps
            rate = learning_rate(self._settings.recipe, stage_share, run_share, stage, self._epochs)
            loss = self.step(batch, rate)
            tick(loss)
            if log and self.progress.step % LOG_EVERY == 0:
                log.log_metrics("train", self.progress.step, epoch=epoch, lr=rate, loss=loss)
            if self.progress.step % self._options.save_every == 0 and self.progress.step % self.epoch_steps:
                self.save()

    def step(self, batch: Batch, rate: float) -> float:
        """Do one step; returns the mean loss over all processes, on a GPU the last one that was read."""
        settings, device = self._settings, self._distributed.device
        self._model.train(not settings.freeze_bn)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        crops, targets, weights = (
            batch[name].to(device, non_blocking=True) for name in ("crops", "targets", "weights")
        )
        with autocast(device, settings.precision):
            heatmaps = self._model(normalized(crops))
        loss = heatmap_loss(heatmaps.float(), targets, weights)
        if self._reads_loss():
            self._loss = self._distributed.mean(loss.detach())
        if not np.isfinite(self._loss):  # the mean is the same in every process, so all of them stop
            raise RunBroken(
                f"the loss is {self._loss} at step {self.progress.step}: {self._folder} keeps what was good"
                f" before, start from it with `init` and a lower `lr`; the batch was {self._name(batch)}"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.progress.step += 1
        self._ema.update(self.net, self.progress.step)
        return self._loss

    def _reads_loss(self) -> bool:
        """Whether the host waits for the loss of this step. A GPU would idle if it did so at every step."""
        done = self.progress.step + 1
        saves = done % self._options.save_every == 0 or done % self.epoch_steps == 0
        return self._distributed.device.type == "cpu" or saves or done % LOG_EVERY == 0

    def _keys(self, epoch: int) -> list[SampleKeys]:
        """This process's share of an epoch's batches."""
        seed, batch = self._settings.seed, self._settings.recipe.batch
        batches = plan(epoch_rows(self._data.shares, seed, epoch), epoch, batch)
        return [keys[self._distributed.rank :: self._distributed.size] for keys in batches]

    def _validate(self, number: int, epoch: int, log: MetricsLog | None) -> None:
        if log:
            settings, stage = self._settings, self._settings.stages[number]
            begin = time.perf_counter()
            self._ema_net.load_state_dict(self._ema.state)
            validation = validate(
                net=self._ema_net,
                people=self._data.val,
                recipe=settings.recipe,
                stage=stage,
                precision=settings.precision,
                images=self._images,
            )
            names = self._data.val.skeleton.joints
            joints = {
                n: round(float(v), 4) for n, v in zip(names, validation.joint_pck, strict=True) if v == v
            }
            step = self.progress.step
            by = settings.recipe.select
            metrics = {"oks": validation.oks, "pck": validation.pck, by: validation.selection_score}
            log.log_metrics("val", step, epoch=epoch, loss=validation.loss, **metrics, joints=joints)
            better = validation.selection_score > self.progress.best
            if better:
                self.progress.best, self.progress.best_epoch = validation.selection_score, epoch
                save_best(self._folder, settings, number, self._data.train.skeleton.name, self._ema.state)
            h, w = stage.input_hw
            log.log(
                f"epoch {epoch} at {h}x{w}, step {step}: OKS {validation.oks:.4f}, PCK@0.2 "
                f"{validation.pck:.4f}"
                f"{'' if by == 'oks' else f', {METRIC_NAMES[by]} {validation.selection_score:.4f}'} of "
                f"{len(self._data.val)} people kept out{', the best so far' if better else ''} "
                f"({time.perf_counter() - begin:.0f} s)"
            )
            log.draw()
            self._draw_samples(validation)
        self._distributed.wait()

    def _draw_samples(self, validation: Validation) -> None:
        people, thumbnails = self._data.val, []
        for i in range(min(SAMPLES, len(people))):
            image = self._images.read(people, i)
            person = MatchedPerson(
                box=people.boxes[i],
                joints=people.joints[i],
                labelled=people.labelled[i],
                keypoints=validation.keypoints[i],
                scores=validation.scores[i],
            )
            text = people.images[people.image_rows[i]].name
            thumbnails.append(thumbnail(image, person, people.skeleton, text))
        save_contact_sheet(self._folder / "samples.png", thumbnails)

    def _name(self, batch: Batch) -> str:
        people = [self._data.train.where(row) for row in batch["rows"].tolist()]
        return "; ".join(people[:3]) + (f" and {len(people) - 3} more" if len(people) > 3 else "")
