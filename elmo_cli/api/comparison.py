"""The results of a comparison in Python."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from elmo_cli.report.cells import select, value_of
from elmo_cli.report.records import ComparisonResults
from elmo_cli.report.result_cells import ROW_COLUMNS, row_cells
from elmo_cli.runs import Run

if TYPE_CHECKING:
    import pandas as pd


class Comparison:
    """The results of a comparison.

    Attributes:
        results: `results.json` of the run.
    """

    def __init__(self, results: ComparisonResults) -> None:
        self.results = results

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Load a comparison.

        Raises:
            RunError: It is none, or not finished.
        """
        results: Any = Run.open(Path(path), "comparison").results()
        return cls(results)

    @property
    def conclusion(self) -> str:
        """What the comparison allows to say, in plain sentences."""
        return self.results["conclusion"]

    def to_frame(self) -> pd.DataFrame:
        """The table as `comparison.csv` has it, a line a row: shares from 0 to 1, what is absent as NaN or None."""
        import pandas as pd

        table = select(row_cells(self.results), ROW_COLUMNS)
        values = [[value_of(cell) for cell in row] for row in table.rows]
        return pd.DataFrame(values, columns=list(table.columns))
