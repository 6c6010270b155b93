"""Parameters in groups, as an optimiser takes them: one rule for what decays, whatever is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def decay_groups(
    parameters: NamedParameters, rate: float, weight_decay: float, name: str = "all"
) -> list[dict[str, Any]]:
    """Two groups of one peak rate: matrices, which decay, and biases and other vectors, which do not.

    Args:
        parameters: With their names; those that need no gradient are left out.
        rate: Peak learning rate.
        weight_decay: Of the matrices.
        name: Of the first group; that of the second ends in `.bias`.

    Returns:
        Groups with `params`, `lr`, `weight_decay` and `name`; none without parameters.
    """
    trained = [(key, parameter) for key, parameter in parameters if parameter.requires_grad]
    spared = {key for key, parameter in trained if parameter.ndim < 2 or key.rpartition(".")[2].startswith("bias")}
    groups = (
        {"params": [p for key, p in trained if key not in spared], "weight_decay": weight_decay, "name": name},
        {"params": [p for key, p in trained if key in spared], "weight_decay": 0.0, "name": f"{name}.bias"},
    )
    return [{**group, "lr": rate} for group in groups if group["params"]]
