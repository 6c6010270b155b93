"""What models in Python have in common: the run they belong to, saving, pickling, and how they show themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from elmo_cli.api.folders import RunFolder
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder
from elmo_cli.errors import RunError
from elmo_cli.runs import Run

if TYPE_CHECKING:
    import pandas as pd


class Model(ABC):
    """What models of both kinds can do with the run that they belong to."""

    _folder: RunFolder | None
    embedder: Embedder

    def __init__(self, device: str, folder: RunFolder | None) -> None:
        self.device, self._folder, self._asked_device = pick_device(device), folder, device

    @classmethod
    @abstractmethod
    def _of(cls, folder: RunFolder, device: str) -> Self:
        """The model of a run."""

    @property
    def run(self) -> Run:
        """The run directory behind the model: its settings, `results()` and `metrics()`.

        Raises:
            RunError: The model was made by hand and belongs to none.
        """
        return Run.open(self.run_folder().path)

    def metrics(self) -> pd.DataFrame:
        """What was measured while the model was trained: a row for each event of `metrics.jsonl`, in their order.

        >>> from elmo_cli import Elmo
        >>> Elmo.load("runs/lm").metrics().query("event == 'validation'")["epoch"].tolist()
        [1, 2]

        Returns:
            `event`, and what events have; NaN where one lacks it.
        """
        import pandas as pd

        return pd.DataFrame(self.run.metrics()).convert_dtypes()

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Copy the model's run to a path; `load` and all commands take it there.

        >>> from elmo_cli import Elmo
        >>> Elmo.load("runs/lm").save("saved/lm")

        Args:
            path: Of the new run.
            overwrite: Replace a run that is there.

        Raises:
            RunError: Something is there already, or the model belongs to no run.
            ElmoError: The disk refuses.
        """
        self.run_folder().copy(path, overwrite=overwrite)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, a model is the files of its run; it is loaded to the device that was asked for."""
        return type(self)._of, (self.run_folder(), self._asked_device)

    def run_folder(self) -> RunFolder:
        """The run directory as an object that keeps it in place; raises what `run` does."""
        if self._folder is None:
            raise RunError(
                "the model belongs to no run", expected="one that was trained or loaded", remedy="load it from a run"
            )
        return self._folder

    def __repr__(self) -> str:
        vocabulary = self.embedder.vocabulary
        facts = {
            "name": repr(self.embedder.name),
            **self._facts(),
            "layers": self.embedder.layer_count,
            "width": self.embedder.width,
            "vocabulary": f"{len(vocabulary):_}" if vocabulary else None,
            "device": f"'{self.device}'",
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in facts.items())})"

    def _facts(self) -> dict[str, object]:
        return {}
