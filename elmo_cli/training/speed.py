"""Which of the faster ways a training takes, by rules that its settings, its text and the processor decide alone.

bfloat16 products and compiled steps change the last bits, so a training that is resumed goes the way it began.
"""

from __future__ import annotations

import torch

from elmo_cli.config import ModelSettings, Precision, PrecisionChoice, PretrainSettings
from elmo_cli.model.kernel.products import bfloat16_is_native, packing_pays

# Compiling takes about 20 seconds the first time on a machine and saves a tenth of the training after it, so it pays
# from some minutes on; this many operations take three minutes at 140 billion a second.
COMPILING_PAYS = 2.5e13


def operations(settings: ModelSettings) -> int:
    """Of the LSTM's matrix products for a token, both directions forward; a training step has three times as many."""
    size, cells = settings.token_size, settings.hidden_size
    products = 2 * size * 4 * cells + (cells * size if settings.projection_size else 0)
    return 2 * 2 * settings.layers * products


def step_multiplications(model: ModelSettings, rows: int) -> int:
    """Of the recurrent product of one direction in one step, for so many rows."""
    return rows * model.token_size * 4 * model.hidden_size


def pick_precision(choice: PrecisionChoice, multiplications: int, device: torch.device | str) -> Precision:
    """The precision of a training's matrix products.

    Args:
        choice: What the user wants; `auto` is bfloat16 where the device multiplies it natively and the products are
            large enough to gain from it, else float32.
        multiplications: Of one product.
        device: Where to compute.
    """
    if choice != "auto":
        return choice
    device = torch.device(device)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    pays = bfloat16_is_native() and packing_pays(device, torch.bfloat16, multiplications)
    return "bfloat16" if pays else "float32"


def compiling_pays(model: ModelSettings, settings: PretrainSettings, steps: int, device: torch.device | str) -> bool:
    """Whether a pretraining is long enough for compiled LSTM steps.

    Args:
        model: Sizes of the products.
        settings: Epochs.
        steps: Predicted steps of an epoch, in one direction.
        device: Where to compute; only a CPU has steps to compile.
    """
    return torch.device(device).type == "cpu" and 3 * operations(model) * steps * settings.epochs >= COMPILING_PAYS
