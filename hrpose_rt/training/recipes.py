"""How to train, as values: the original's way and a modern one."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from hrpose_rt.errors import BadInput
from hrpose_rt.pose.targets import TARGET_DECODERS, Targets
from hrpose_rt.skeleton import MPII16, Skeleton
from hrpose_rt.training.augment import Augmentation


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: What the command line calls it.
        optimizer: "adam" (no weight decay, as the original's code has it), "adamw" or "sgd".
        lr: Peak learning rate.
        batch: People a step, over all processes.
        epochs: Where no stages are given.
        targets: Whose heatmaps.
        augmentation: What is done to the pictures.
        weight_decay: AdamW's and SGD's.
        momentum, nesterov: SGD's.
        schedule: "steps": down by `lr_factor` at each of `lr_steps`; "cosine": in every stage a warm-up,
            then down to nothing.
        lr_steps: Shares of all epochs, or epochs where they are above 1.
        lr_factor: What is left of the rate after a step.
        warm_up: Share of a stage's steps that the rate takes to rise.
        ema: Decay of the averaged weights, which are those that count; 0 for none.
        joint_weights: Whether elbows, knees, wrists and ankles count more.
        squared_weights: Whether these weights are those of a map before it is squared, so that they
            count squared, as in the original.
        machine_weight: What a joint counts that a network labelled.
        init_std: Random weights of convolutions are drawn from N(0, init_std), biases are 0; 0 leaves
            them as PyTorch has them.
        select: The figure of the people kept out that the best epoch has most of: "oks", COCO's "ap" or
            MPII's "pckh".
    """

    name: str
    optimizer: Literal["adam", "adamw", "sgd"]
    lr: float
    batch: int
    epochs: int
    targets: Targets
    augmentation: Augmentation
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    schedule: Literal["steps", "cosine"] = "steps"
    lr_steps: tuple[float, ...] = (170 / 210, 200 / 210)
    lr_factor: float = 0.1
    warm_up: float = 0.0
    ema: float = 0.0
    joint_weights: bool = False
    squared_weights: bool = False
    machine_weight: float = 1.0
    init_std: float = 0.0
    select: Literal["oks", "ap", "pckh"] = "oks"


CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("steps", "cosine"),
    "targets": tuple(TARGET_DECODERS),
    "select": ("oks", "ap", "pckh"),
}
# Sun et al., CVPR 2019, and the authors' training code.
ORIGINAL = Recipe(
    name="original",
    optimizer="adam",
    lr=1e-3,
    batch=32,
    epochs=210,
    targets="classic",
    augmentation=Augmentation(turn_deg=45, scale=0.35, half_body=0.3),
    weight_decay=1e-4,  # of SGD, if that is set
    squared_weights=True,
    init_std=0.001,
    select="ap",
)
MODERN = Recipe(
    name="modern",
    optimizer="adamw",
    lr=2e-3,
    batch=64,
    epochs=50,
    targets="dark",
    augmentation=Augmentation(
        turn_deg=35,
        scale=0.35,
        half_body=0.25,
        close_up=0.25,
        cut=0.25,
        shift=0.04,
        colour=0.25,
        cutout=0.3,
    ),
    weight_decay=0.01,
    schedule="cosine",
    warm_up=0.02,
    ema=0.998,
    joint_weights=True,
    machine_weight=0.5,
)
RECIPES = {recipe.name: recipe for recipe in (ORIGINAL, MODERN)}


def recipe_for(name: str, skeleton: Skeleton) -> Recipe:
    """The recipe of that name; the original augments MPII less, and selects by its own figure.

    Raises:
        BadInput: There is no such recipe.
    """
    if name not in RECIPES:
        raise BadInput(f"there is no recipe {name!r}: choose {' or '.join(RECIPES)}")
    recipe = RECIPES[name]
    if recipe is ORIGINAL and skeleton is MPII16:
        recipe = replace(recipe, augmentation=Augmentation(turn_deg=30, scale=0.25), select="pckh")
    return recipe


def check_select(recipe: Recipe, skeleton: Skeleton) -> None:
    """Raise BadInput where epochs cannot be compared by the recipe's figure."""
    if recipe.select == "ap" and not skeleton.sigmas:
        raise BadInput(f"AP needs sigmas, which {skeleton.name} has not: set select=oks or select=pckh")
    if recipe.select == "pckh" and not {"neck", "head"} <= set(skeleton.joints):
        raise BadInput(
            f"PCKh needs neck and head, which {skeleton.name} has not: set select=oks or select=ap"
        )


def learning_rate(
    recipe: Recipe, stage_share: float, run_share: float, stage: int, epochs: int = 1
) -> float:
    """The rate at a point of the run.

    Args:
        recipe: Its peak and schedule.
        stage_share, run_share: How much of the stage and of the whole run is done, 0..1.
        stage: Which stage; each starts from half the peak of the one before.
        epochs: Of the whole run.
    """
    if recipe.schedule == "steps":
        drops = sum(run_share >= (step / epochs if step > 1 else step) for step in recipe.lr_steps)
        return recipe.lr * recipe.lr_factor**drops
    peak = recipe.lr * 0.5**stage
    if stage_share < recipe.warm_up:
        return peak * stage_share / recipe.warm_up
    done = (stage_share - recipe.warm_up) / (1 - recipe.warm_up)
    return peak * (1 + math.cos(math.pi * done)) / 2
