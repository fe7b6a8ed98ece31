"""`hrpose-rt train`: train an HRNet on COCO keypoints or MPII."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from hrpose_rt.cli import options
from hrpose_rt.cli.exit import status_after
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import usable_cores
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import make_folder

if TYPE_CHECKING:
    from hrpose_rt.skeleton import Skeleton
    from hrpose_rt.training.config import TrainSettings
    from hrpose_rt.training.dataset import ImageCache
    from hrpose_rt.training.distillation import TeacherHeatmaps
    from hrpose_rt.training.distributed import DistributedContext
    from hrpose_rt.training.recipes import Recipe
    from hrpose_rt.training.trainer import TrainData, Trainer

MPII_INPUT = "256x256"
GIGABYTE = 2**30
data_option = partial(typer.Option, rich_help_panel="Data")
recipe_option = partial(typer.Option, rich_help_panel="Recipe")
machine_option = partial(typer.Option, rich_help_panel="Machine")
GPU_WORKERS = 8  # at most; on a CPU they would only take cores from the network


def train(
    data: Annotated[
        list[str],
        data_option(
            help="Train on ANNOTATIONS[:IMAGES[:WEIGHT]], COCO keypoints or MPII json. May be repeated."
        ),
    ],
    output: Annotated[Path, options.output_option(help="Write the run to this folder.")],
    model: Annotated[str, recipe_option(help="Train this HRNet.")] = "hrnet-w16-lite",
    init: Annotated[
        str, recipe_option(help="Start from this checkpoint (a name or a file). Default: random weights.")
    ] = "",
    recipe: Annotated[
        str, recipe_option(help="Use this recipe: original, modern, or your own .toml file.")
    ] = "modern",
    change: Annotated[
        list[str] | None, recipe_option("--set", help="Change the recipe: KEY=VALUE. May be repeated.")
    ] = None,
    stages: Annotated[
        str,
        recipe_option(help="Train in stages HEIGHTxWIDTH:EPOCHS,... instead of --input-hw and --epochs."),
    ] = "",
    input_hw: Annotated[
        str, recipe_option(help="Set HEIGHTxWIDTH. Default: 256x192; 256x256 for MPII.")
    ] = "",
    epochs: Annotated[int, recipe_option(help="Train N epochs; 0 for the recipe's.")] = 0,
    batch: Annotated[
        int, recipe_option(help="Use N people per step over all processes; 0 for the recipe's.")
    ] = 0,
    lr: Annotated[float, recipe_option(help="Set the peak learning rate; 0 for the recipe's.")] = 0.0,
    targets: Annotated[
        str, recipe_option(help="Use classic, dark or udp targets. Default: the recipe's.")
    ] = "",
    precision: Annotated[str, machine_option(help="Compute in fp32 or bf16.")] = "fp32",
    teacher: Annotated[
        str, data_option(help="Learn joints without human labels from this network (a name or a file).")
    ] = "",
    val: Annotated[
        list[str] | None,
        data_option(help="Choose the best epoch on these data, not on held-out images. May be repeated."),
    ] = None,
    hold_out: Annotated[int, data_option(help="Without --val: hold out one image in N.")] = 10,
    freeze_bn: Annotated[
        bool, recipe_option("--freeze-bn", help="Keep the batch norm statistics fixed.")
    ] = False,
    resume: Annotated[
        bool, options.output_option("--resume", help="Continue the run in --output.")
    ] = False,
    device: Annotated[str, machine_option(help="Train on auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int, machine_option(help="Prepare batches in N processes; -1 depends on the device.")
    ] = -1,
    cache_gb: Annotated[
        float, machine_option(help="Cache decoded images in this much memory per process.")
    ] = 4.0,
    save_every: Annotated[int, options.output_option(help="Save a checkpoint every N steps.")] = 500,
    seed: Annotated[int, recipe_option(help="Set the random seed.")] = 0,
    debug: options.Debug = False,
) -> None:
    """Train a pose network. For several processes: torchrun --nproc-per-node 2 -m hrpose_rt train ..."""
    from hrpose_rt.training.checkpoints import LAST
    from hrpose_rt.training.config import DataSet, TrainSettings, parse_stages
    from hrpose_rt.training.dataset import ImageCache
    from hrpose_rt.training.distributed import init_distributed
    from hrpose_rt.training.trainer import load_data

    if (output / LAST).exists() and not resume:
        raise BadInput(f"{output} holds a run already: go on with --resume, or give another --output")
    sets = tuple(DataSet.parse(text) for text in data)
    val_sets = tuple(DataSet.parse(text) for text in val or ())
    people = load_data(sets, val_sets, hold_out, unlabelled=bool(teacher))
    skeleton = people.train.skeleton
    how = _recipe(recipe, skeleton, change or (), lr=lr, batch=batch, epochs=epochs, targets=targets)
    size = input_hw or (MPII_INPUT if skeleton.name == "mpii16" else "256x192")
    settings = TrainSettings(
        model=model,
        data=sets,
        stages=parse_stages(stages or f"{size}:{how.epochs}"),
        recipe=how,
        val=val_sets,
        hold_out=hold_out,
        init=_checkpoint(init) if init else "",
        teacher=teacher,
        precision=precision,
        freeze_bn=freeze_bn,
        seed=seed,
    )
    settings.check()
    with init_distributed(device) as distributed:
        if workers < 0:
            workers = min(GPU_WORKERS, usable_cores()) if distributed.device.type == "cuda" else 0
        make_folder(output)
        # Every worker has its own cache.
        images = ImageCache(int(cache_gb * GIGABYTE / max(workers, 1)))
        console = Console(stderr=True, highlight=False, quiet=not distributed.main)
        maps = _teacher(settings, people, images, output, distributed, console) if teacher else None
        _run(settings, people, distributed, output, images, maps, workers, save_every, resume, console)


def _recipe(name: str, skeleton: "Skeleton", texts: Sequence[str], **options: Any) -> "Recipe":
    """Load a recipe by name or file, then apply `--set` and the separate options."""
    from hrpose_rt.training.overrides import parse_overrides, read_recipe, with_overrides
    from hrpose_rt.training.recipes import check_select, recipe_for

    base, overrides = read_recipe(Path(name)) if name.endswith(".toml") else (name, {})
    overrides |= parse_overrides(texts)
    plain = recipe_for(base, skeleton)
    recipe = with_overrides(plain, overrides | {key: value for key, value in options.items() if value})
    check_select(recipe, skeleton)
    return recipe


def _checkpoint(init: str) -> str:
    """Find the checkpoint file of a model by name or path."""
    model = find_model(init, "pose")
    if model.checkpoint is None:
        raise model.no_checkpoint()
    return str(model.checkpoint)


def _teacher(
    settings: "TrainSettings",
    people: "TrainData",
    images: "ImageCache",
    output: Path,
    distributed: "DistributedContext",
    console: Console,
) -> "TeacherHeatmaps":
    """Run the teacher in process 0; the others read its heatmaps from disk. Adjacent runs share them."""
    from hrpose_rt.training.distillation import run_teacher

    def ask() -> "TeacherHeatmaps":
        with _bar(console) as bar:
            task = bar.add_task("asking the teacher", total=len(people.train))
            return run_teacher(
                teacher=settings.teacher,
                people=people.train,
                read=images.read,
                folder=output.parent,
                threads=usable_cores(),
                progress=lambda done: bar.advance(task, done),
            )

    maps = ask() if distributed.main else None
    distributed.wait()
    return maps or ask()


def _run(
    settings: "TrainSettings",
    people: "TrainData",
    distributed: "DistributedContext",
    output: Path,
    images: "ImageCache",
    maps: "TeacherHeatmaps | None",
    workers: int,
    save_every: int,
    resume: bool,
    console: Console,
) -> None:
    from hrpose_rt.training.checkpoints import BEST
    from hrpose_rt.training.config import RunOptions
    from hrpose_rt.training.metrics_log import MetricsLog
    from hrpose_rt.training.trainer import Trainer
    from hrpose_rt.training.validation import METRIC_NAMES

    options = RunOptions(output, workers, save_every)
    trainer = Trainer(settings, people, distributed, options, images, maps)
    if resume:
        trainer.resume()
    log = MetricsLog(output, trainer.progress.step) if distributed.main else None
    if log:
        for text in _about(settings, people, distributed, trainer):
            console.print(text)
            log.log(text)
    try:
        with log or nullcontext(), _bar(console) as bar:
            # Time left follows from the remaining pixels, because stages differ in the cost of a person.
            task = bar.add_task(
                "training", total=trainer.pixels(), completed=trainer.pixels(trainer.progress.step)
            )
            begun, first = time.perf_counter(), trainer.progress.step

            def tick(loss: float) -> None:
                done = trainer.progress.step
                speed = (done - first) * settings.recipe.batch / (time.perf_counter() - begun)
                text = f"step {done} of {trainer.steps}, {speed:.0f} people/s, loss {loss:.2e}"
                bar.update(task, completed=trainer.pixels(done), description=text)

            trainer.run(log, tick)
    except KeyboardInterrupt as ended:
        trainer.save()
        console.print(f"stopped at step {trainer.progress.step}; the same command with --resume goes on")
        raise typer.Exit(status_after(ended)) from None
    best, figure = trainer.progress, METRIC_NAMES[settings.recipe.select]
    console.print(
        f"{output}/{BEST}: {figure} {best.best:.4f} of people kept out, from epoch {best.best_epoch}"
    )


def _about(
    settings: "TrainSettings", people: "TrainData", distributed: "DistributedContext", trainer: "Trainer"
) -> list[str]:
    """Describe the run for the log."""
    stages = ", ".join(f"{s.epochs} epochs at {s.input_hw[0]}x{s.input_hw[1]}" for s in settings.stages)
    start = Path(settings.init).name if settings.init else "random weights"
    if trainer.missing:
        start += f" ({len(trainer.missing)} tensors random, the first is {trainer.missing[0]})"
    notes = []
    if people.jointless:
        notes.append(f"{people.jointless} people without a labelled joint are left out")
    if known := settings.val_sets_in_training():
        notes.append(f"--val has {known[0]}, as --data does: people trained on choose the best epoch")
    return [
        f"{settings.model} from {start}, recipe {settings.recipe.name}, {settings.precision}, {stages}",
        f"{len(people.train)} people to train on, {len(people.val)} kept out; {distributed.size} "
        f"processes, {distributed.device.type}; {trainer.epoch_steps} steps an epoch, "
        f"{trainer.progress.step} are done",
        *notes,
    ]


def _bar(console: Console) -> Progress:
    return Progress(
        *("{task.description}", BarColumn(), "{task.percentage:.0f}%", TimeElapsedColumn()),
        *("left", TimeRemainingColumn()),
        console=console,
    )
