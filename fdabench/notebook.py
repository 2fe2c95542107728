"""Results for notebooks and scripts: `fdabench.load` reads a results folder, and its object shows, plots and compares.

The package imports this module when `fdabench.load` is used for the first time. Figures, tables and ratios come from
the functions that write the report, so a notebook and a report of the same results have the same numbers.
"""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData, combine_results
from fdabench.analysis.order import order_strategies
from fdabench.analysis.stats import Ratio, paired_ratio
from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.report.figures import PLOTS
from fdabench.report.page.render import house_style
from fdabench.report.summary import closing_summary
from fdabench.report.tables.build import headline_table
from fdabench.results.cell_record import CellRecord
from fdabench.results.load import Results
from fdabench.results.load import load as load_folder
from fdabench.suite.cell import Cell
from fdabench.suite.selection import find_cell


@dataclass(frozen=True)
class CellView:
    """One cell of a results folder. The tables of a cell without a result have no rows.

    Args:
        cell: its id, label, title and configuration.
        record: what `cell.json` holds; None if the cell was not started.
        run: its row of the table `runs`, by column.
        targets: its rows of `targets`, and so for the other tables.
    """

    cell: Cell
    record: CellRecord | None
    run: "pd.Series[Any]"
    targets: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame
    trace: pd.DataFrame
    partition: pd.DataFrame

    def __repr__(self) -> str:
        return f"CellView({self.cell.id}: {self.cell.title}, {self.run['state']})"


@dataclass(frozen=True, repr=False)
class ResultsView:
    """The results of a suite, as `fdabench.load` returns them.

    `docs/results.md` describes the columns of the tables. Bytes in `runs` and `targets` are counted by the convention
    of the suite, those in `evals` by the convention `paper`.

    Args:
        results: the content of the folder.
    """

    results: Results

    @property
    def runs(self) -> pd.DataFrame:
        """One row for each cell: its axes and its outcome."""
        return self.results.runs

    @property
    def targets(self) -> pd.DataFrame:
        """One row for each cell and target: when it was reached, and the bytes until then."""
        return self.results.hits

    @property
    def evals(self) -> pd.DataFrame:
        """One row for each evaluation of each cell."""
        return self.results.evals

    @property
    def ledger(self) -> pd.DataFrame:
        """One row for each run of like collectives of each cell."""
        return self.results.ledger

    @property
    def rounds(self) -> pd.DataFrame:
        """One row for each sync of each cell."""
        return self.results.rounds

    @property
    def cells(self) -> list[Cell]:
        """The cells of the suite, in its order, including those without a result."""
        return [Cell.from_lock(locked) for locked in self.results.lock.cell]

    @property
    def plots(self) -> list[str]:
        """The names that `plot` accepts, in the order of the report."""
        return [spec.name for spec in PLOTS]

    @cached_property
    def _data(self) -> ReportData:
        return combine_results([self.results])

    @property
    def _place(self) -> str:
        """The folder, as messages name it."""
        return self.results.root.as_posix()

    def cell(self, words: str) -> CellView:
        """Return one cell, as `fdabench show` selects it.

        Args:
            words: the id of the cell, the first letters of its id (at least 4), or words of its title that no other
                cell has, such as `"LinearFDA iid s0"`.

        Raises:
            ResultError: no cell matches, or several do; the message lists them.
            UsageError: the words contain `and`, `or` or `not` and cannot be parsed.
        """
        results = self.results
        cells = {locked.id: Cell.from_lock(locked) for locked in results.lock.cell}
        match = find_cell(cells, words.split(), self._place)
        run = results.runs[results.runs["cell_id"] == match].iloc[0]
        names = ("hits", "evals", "ledger", "rounds", "trace", "partition")
        hits, evals, ledger, rounds, trace, partition = (_rows_of(getattr(results, name), match) for name in names)
        return CellView(cells[match], results.records.get(match), run, hits, evals, ledger, rounds, trace, partition)

    def plot(self, name: str) -> Figure:
        """Draw a figure of the report.

        Args:
            name: one of `plots`, such as `"accuracy-bytes"`.

        Returns:
            The figure. `figure.savefig("figure.pdf")` writes it, and `figure.axes` can be changed before.

        Raises:
            UsageError: no figure of the report has this name.
            ResultError: the results have nothing that the figure could show.
        """
        specs = {spec.name: spec for spec in PLOTS}
        if name not in specs:
            raise UsageError(f"{name!r} is no figure; allowed: {', '.join(specs)}{did_you_mean(name, specs)}")
        with house_style():
            figure = specs[name].draw(self._data)
        if figure is None:
            reason = specs[name].absence(self._data) or "the results have nothing that it could show"
            raise ResultError(f"{self._place}: {name} is not drawn: {reason}")
        return figure

    def ratio(self, strategy: str, to: str | None = None, cost: Literal["bytes", "steps"] = "bytes") -> Ratio:
        """Return how many times the cost of another strategy a strategy needs to reach the headline target.

        This is the ratio of the conclusion: the geometric mean over pairs of the same workload and seed, with the
        interval of `docs/results.md`. `analysis.stats.paired_ratio` computes both.

        Args:
            strategy: a label of the suite, a value of `runs["label"]`.
            to: the label of the strategy in the denominator. Default: the best strategy of the conclusion.
            cost: `"bytes"` (all workers, the convention of the suite) or `"steps"` (local steps of each worker).

        Returns:
            The ratio, with `mean`, `low`, `high`, `bound` and `pairs`. `pairs` is 0 and `mean` NaN if there is no pair
            of cells in which one reached the target.

        Raises:
            UsageError: a label or the cost is unknown.
            ResultError: no strategy reached a target of the suite, so that there is no cost to compare.
        """
        if cost not in ("bytes", "steps"):
            raise UsageError(f"cost={cost!r} is unknown; allowed: bytes, steps{did_you_mean(cost, ('bytes', 'steps'))}")
        outcomes = self._data.at_suite_target
        if outcomes.empty:
            raise ResultError(f"{self._place}: no strategy reached a target, so no costs are compared")
        bottom = order_strategies(outcomes).labels[0] if to is None else self._check_label(to)
        top = self._check_label(strategy)
        return paired_ratio(outcomes[outcomes["label"] == top], outcomes[outcomes["label"] == bottom], f"cost_{cost}")

    def _check_label(self, label: str) -> str:
        labels = self._data.labels
        if label not in labels:
            text = ", ".join(labels)
            raise UsageError(f"{label!r} is no strategy of {self._place}; it has: {text}{did_you_mean(label, labels)}")
        return label

    def __repr__(self) -> str:
        return closing_summary(self.results)

    def _repr_html_(self) -> str:
        """The conclusion and the table of costs of the report, for notebooks."""
        first, *rest = closing_summary(self.results).splitlines()
        table = headline_table(self._data)
        costs = pd.DataFrame(list(table.rows), columns=list(table.titles)).to_html(index=False, border=0)
        return (
            f"<p><b>{escape(first)}</b></p><pre>{escape(chr(10).join(rest))}</pre>"
            f"<p>{escape(table.title)}</p>{costs}<p><small>{escape(table.note)}</small></p>"
        )


def load(root: Path | str) -> ResultsView:
    """Read a results folder, finished or not, for a notebook or a script.

    Args:
        root: the folder that `fdabench run` has written, such as `"results/cifar"`.

    Raises:
        ResultError: there are no results, or files that cannot be read or do not belong together.
    """
    return ResultsView(load_folder(Path(root)))


def _rows_of(frame: pd.DataFrame, cell_id: str) -> pd.DataFrame:
    return frame[frame["cell_id"] == cell_id].reset_index(drop=True)
