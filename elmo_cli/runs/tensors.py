"""Tensors of a run into a network: sizes are compared with the file's header before any memory is taken for them.

`run.yaml` says how large a network is, and may come from a stranger; the file of its weights bears it out or does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from elmo_cli.errors import RunError, WeightsError
from elmo_cli.runs.directory import WEIGHTS_FILE, Run

if TYPE_CHECKING:
    from torch import Tensor, nn

    _Network = TypeVar("_Network", bound=nn.Module)

# What a description that is not ours lets torch and pydantic raise (ValidationError is a ValueError).
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError, AssertionError)


@contextmanager
def readable(run: Run) -> Iterator[None]:
    """What is missing or wrong in `run.yaml`, as an error of the run."""
    try:
        yield
    except _UNREADABLE as error:
        raise RunError(
            f"run.yaml of {run.path} does not say how to build the model",
            where=run.path / "run.yaml",
            expected="the file as elmo wrote it",
            remedy="copy the run again, or write it again with --overwrite",
        ) from error


def build(
    run: Run, make: Callable[[], _Network], name: str = WEIGHTS_FILE, shared: Mapping[str, Tensor] = {}
) -> _Network:
    """The network that a run describes, with the weights of the run, in eval mode.

    Args:
        run: Of which a file of weights is read.
        make: Makes the network; it is called twice, the first time without memory for its weights.
        name: The file.
        shared: Tensors of the network that are not in the file, being those of another one.

    Raises:
        RunError: `run.yaml` does not describe a network, or the weights are missing or damaged.
        WeightsError: The weights do not fit it, or are not finite.
    """
    where = run.path / name
    with readable(run), without_memory():
        shapes = _shapes(make().state_dict())
    _compare(shapes, run.shapes(name) | _shapes(shared), where)
    with readable(run):
        network = make()
    copy_tensors(network, {**run.tensors(name), **shared}, where)
    return network.eval()


def copy_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Copy tensors into a network.

    Raises:
        WeightsError: A tensor is missing, left over, of another shape or kind of numbers, or not finite.
    """
    import torch

    own = network.state_dict()
    _compare(_shapes(own), _shapes(tensors), where)
    with torch.no_grad():
        for name, tensor in own.items():
            given = tensors[name]
            if given.is_floating_point() != tensor.is_floating_point() or given.is_complex():
                raise _misfit(where, f"has {name} of type {given.dtype}", f"type {tensor.dtype}")
            if not bool(torch.isfinite(given).all()):
                raise _misfit(where, f"has numbers in {name} that are not finite", "finite weights")
            tensor.copy_(given)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _compare(own: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: Path) -> None:
    """See that a file holds the tensors of a network, and no others."""
    for problem, names in (("lacks", own.keys() - found.keys()), ("has an unknown", found.keys() - own.keys())):
        if names:
            raise _misfit(where, f"{problem} tensor {min(names)}", "the weights that run.yaml describes")
    for name, shape in own.items():
        if shape != found[name]:
            raise _misfit(where, f"has {name} of shape {found[name]}", f"shape {shape}")


def _misfit(where: Path, problem: str, expected: str) -> WeightsError:
    remedy = "copy the run again: run.yaml and the weights belong together"
    return WeightsError(f"{where.name} {problem}", where=where, expected=expected, remedy=remedy)


@contextmanager
def without_memory() -> Iterator[None]:
    """Tensors that are made meanwhile have a shape and no numbers."""
    import torch
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    class Undrawn(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            # to draw or multiply no numbers, torch would first load its compiler, which takes seconds
            kwargs = kwargs or {}
            scaled = func in (Tensor.mul, Tensor.mul_) and not isinstance(args[1], Tensor)
            if scaled or func in (Tensor.normal_, Tensor.uniform_):
                return args[0]
            if getattr(func, "__module__", None) == "torch.nn.init":
                return kwargs["tensor"] if "tensor" in kwargs else args[0]
            return torch.empty(*args) if func is torch.randn else func(*args, **kwargs)

    with torch.device("meta"), Undrawn():
        yield
