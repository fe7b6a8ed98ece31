"""Training recipes as values: the original's and a modern one."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from hrpose_rt.errors import BadInput
from hrpose_rt.pose.targets import TARGET_DECODERS, Targets
from hrpose_rt.skeleton import MPII16, Skeleton
from hrpose_rt.training.augment import Augmentation


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train a network.

    Attributes:
        name: Name on the command line.
        optimizer: "adam" (no weight decay, as in the original's code), "adamw" or "sgd".
        lr: Peak learning rate.
        batch: People per step, over all processes.
        epochs: Number of epochs if no stages are given.
        targets: Kind of target heatmaps.
        augmentation: Augmentation of the crops.
        weight_decay: For AdamW and SGD.
        momentum, nesterov: For SGD.
        schedule: "steps": multiply by `lr_factor` at each of `lr_steps`; "cosine": in every stage a
            warm-up, then a cosine down to 0.
        lr_steps: Shares of all epochs, or epochs if above 1.
        lr_factor: Factor of the learning rate at each step.
        warm_up: Share of a stage's steps in which the rate rises.
        ema: Decay of the averaged weights, which are validated and saved; 0 for none.
        joint_weights: Whether elbows, knees, wrists and ankles count more.
        squared_weights: Whether a joint's weight multiplies its map before squaring, so that it counts
            squared, as in the original.
        machine_weight: Weight of a joint that a network labelled.
        init_std: Standard deviation of random convolution weights, with biases 0; 0 keeps PyTorch's
            initialisation.
        select: The metric that selects the best epoch, on held-out people: "oks", COCO's "ap" or MPII's
            "pckh".
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
    weight_decay=1e-4,  # for SGD
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
    """The recipe with that name. For MPII the original augments less and selects by PCKh.

    Raises:
        BadInput: There is no such recipe.
    """
    if name not in RECIPES:
        raise BadInput(f"there is no `recipe` {name!r}: choose {' or '.join(RECIPES)}")
    recipe = RECIPES[name]
    if recipe is ORIGINAL and skeleton is MPII16:
        recipe = replace(recipe, augmentation=Augmentation(turn_deg=30, scale=0.25), select="pckh")
    return recipe


def check_select(recipe: Recipe, skeleton: Skeleton) -> None:
    """Raise BadInput if this skeleton does not allow the recipe's selection metric."""
    if recipe.select == "ap" and not skeleton.sigmas:
        raise BadInput(f"AP needs sigmas, which {skeleton.name} has not: set select=oks or select=pckh")
    if recipe.select == "pckh" and not {"neck", "head"} <= set(skeleton.joints):
        raise BadInput(
            f"PCKh needs neck and head, which {skeleton.name} has not: set select=oks or select=ap"
        )


def learning_rate(
    recipe: Recipe, stage_share: float, run_share: float, stage: int, epochs: int = 1
) -> float:
    """The learning rate at a point of the run.

    Args:
        recipe: Peak rate and schedule.
        stage_share, run_share: Completed share of the stage and of the whole run, 0..1.
        stage: Number of the stage; each starts from half the peak of the one before.
        epochs: Epochs of the whole run.
    """
    if recipe.schedule == "steps":
        drops = sum(run_share >= (step / epochs if step > 1 else step) for step in recipe.lr_steps)
        return recipe.lr * recipe.lr_factor**drops
    peak = recipe.lr * 0.5**stage
    if stage_share < recipe.warm_up:
        return peak * stage_share / recipe.warm_up
    done = (stage_share - recipe.warm_up) / (1 - recipe.warm_up)
    return peak * (1 + math.cos(math.pi * done)) / 2
