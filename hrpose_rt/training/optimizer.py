"""The optimizer of a recipe."""

import torch
from torch import nn

from hrpose_rt.training.recipes import Recipe


def optimizer_for(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    """Create the optimizer that the recipe names."""
    weights, decay = net.parameters(), recipe.weight_decay
    if recipe.optimizer == "adam":
        return torch.optim.Adam(weights, recipe.lr)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(weights, recipe.lr, weight_decay=decay)
    return torch.optim.SGD(
        weights, recipe.lr, recipe.momentum, weight_decay=decay, nesterov=recipe.nesterov
    )
