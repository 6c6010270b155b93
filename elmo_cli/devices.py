"""Where to compute, and in which precision: what this machine and this build of torch have."""

from __future__ import annotations

from typing import get_args

import torch

from elmo_cli.config import Precision
from elmo_cli.errors import ConfigError, nearest


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name; `auto` is the fastest that this machine has.

    Raises:
        ConfigError: There is no such device here.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in found.items() if available))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"--device got '{name}'",
            expected="auto, " + ", ".join(reversed(found)),
            remedy=nearest(name, ("auto", *found)),
        ) from error
    if not found.get(device.type, False):
        here = ", ".join(kind for kind, available in found.items() if available)
        raise ConfigError(
            f"--device is {name}, which this machine or this build of torch does not have",
            expected=f"auto or one of: {here}",
            remedy="leave --device out to take the fastest there is",
        )
    return device


def check_precision(precision: Precision, device: torch.device | str) -> None:
    """See whether a device can multiply matrices in a precision.

    Raises:
        ConfigError: It cannot, or there is no such precision: Python callers have no option's choices before them.
    """
    names = get_args(Precision)
    if precision not in names:
        raise ConfigError(
            f"--precision got '{precision}'", expected=" or ".join(names), remedy=nearest(precision, names)
        )
    try:
        one = torch.ones(8, 8, dtype=getattr(torch, precision), device=device)
        works = bool((one @ one == 8).all())
    except (RuntimeError, TypeError):
        works = False
    if not works:
        raise ConfigError(
            f"--precision is {precision}, which {device} cannot multiply matrices in",
            expected="float32",
            remedy="leave --precision out, or choose another --device",
        )
