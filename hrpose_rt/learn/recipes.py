"""How to train, as values: the original's way and a modern one."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from hrpose_rt.errors import BadInput
from hrpose_rt.learn.augment import Augmentation
from hrpose_rt.pose.targets import TARGET_DECODERS, Targets
from hrpose_rt.skeleton import MPII16, Skeleton


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: What the command line calls it.
        optimizer: "adam" (no weight decay) or "adamw".
        lr: Peak learning rate.
        batch: People a step, over all processes.
        epochs: Where no stages are given.
        targets: Whose heatmaps.
        augmentation: What is done to the pictures.
        weight_decay: AdamW's.
        schedule: "steps": a tenth after 17/21 and after 20/21 of all epochs (170 and 200 of 210);
            "cosine": in every stage a warm-up, then down to nothing.
        warm_up: Share of a stage's steps that the rate takes to rise.
        ema: Decay of the averaged weights, which are those that count; 0 for none.
        joint_weights: Whether elbows, knees, wrists and ankles count more.
        machine_weight: What a joint counts that a network labelled.
    """

    name: str
    optimizer: Literal["adam", "adamw"]
    lr: float
    batch: int
    epochs: int
    targets: Targets
    augmentation: Augmentation
    weight_decay: float = 0.0
    schedule: Literal["steps", "cosine"] = "steps"
    warm_up: float = 0.0
    ema: float = 0.0
    joint_weights: bool = False
    machine_weight: float = 1.0


# Sun et al., CVPR 2019, and the authors' training code.
ORIGINAL = Recipe(
    name="original",
    optimizer="adam",
    lr=1e-3,
    batch=32,
    epochs=210,
    targets="classic",
    augmentation=Augmentation(turn_deg=45, scale=0.35, half_body=0.3),
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


def recipe_for(name: str, skeleton: Skeleton, **changes: Any) -> Recipe:
    """The recipe of that name, with those `changes` that are not empty; the original augments MPII less.

    Raises:
        BadInput: There is no such recipe, or there are no such targets.
    """
    if name not in RECIPES:
        raise BadInput(f"there is no recipe {name!r}: choose {' or '.join(RECIPES)}")
    if (targets := changes.get("targets")) and targets not in TARGET_DECODERS:
        raise BadInput(f"there are no targets {targets!r}: choose {', '.join(TARGET_DECODERS)}")
    recipe = RECIPES[name]
    if recipe is ORIGINAL and skeleton is MPII16:
        recipe = replace(recipe, augmentation=Augmentation(turn_deg=30, scale=0.25))
    return replace(recipe, **{field: value for field, value in changes.items() if value})


def learning_rate(recipe: Recipe, stage_share: float, run_share: float, stage: int) -> float:
    """The rate at a point of the run.

    Args:
        recipe: Its peak and schedule.
        stage_share, run_share: How much of the stage and of the whole run is done, 0..1.
        stage: Which stage; each starts from half the peak of the one before.
    """
    if recipe.schedule == "steps":
        drops = sum(run_share >= epoch / 210 for epoch in (170, 200))
        return recipe.lr * 0.1**drops
    peak = recipe.lr * 0.5**stage
    if stage_share < recipe.warm_up:
        return peak * stage_share / recipe.warm_up
    done = (stage_share - recipe.warm_up) / (1 - recipe.warm_up)
    return peak * (1 + math.cos(math.pi * done)) / 2
