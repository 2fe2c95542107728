"""Writes how the runs of each method ended, and how often they reached each target.

    python suites/study/outcomes.py results/study-cifar10 results/study-shakespeare -o reports/study

Writes `outcomes.csv` and `outcomes.md`. With `eval.model = "virtual-mean"` a method may reach a target before its first
sync, and may lose it again; bytes to a target hide both, so the tables count them.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from candidates import METHODS, runs_with_methods

import fdabench
from fdabench.formatting import format_bytes
from fdabench.metrics import METRICS
from fdabench.notebook import ResultsView


def outcomes(view: ResultsView) -> Iterator[dict[str, object]]:
    """Yield a row for each workload of a suite, each method in the order of the plan, and each target.

    `kept` counts the runs that reached the target and whose last evaluation still does; `without_sync` those that
    reached it before their first sync. `bytes` is the geometric mean over the runs that reached it.
    """
    metric = METRICS[view.results.lock.metric]
    runs = runs_with_methods(view)
    runs = runs.assign(final=metric.of(runs, "final"))
    names = [name for name in METHODS.values() if name in set(runs["method"])]
    for workload, method in product(runs["workload"].unique(), names):
        own = runs[(runs["workload"] == workload) & (runs["method"] == method)]
        for target in sorted(view.targets["target"].unique(), key=metric.score):
            hits = view.targets[view.targets["target"] == target].merge(own[["cell_id", "final"]], on="cell_id")
            hits = hits[hits["reached"].astype(bool)]
            holds = metric.score(hits["final"]) >= metric.score(target)
            sizes = hits["bytes_total"].astype(float)
            yield {
                "suite": view.results.lock.suite,
                "workload": workload,
                "method": method,
                "runs": len(own),
                "final": own["final"].mean(),
                "sd": own["final"].std(),
                "syncs": own["syncs"].mean(),
                "total_bytes": own["bytes_total"].mean(),
                "target": target,
                "reached": len(hits),
                "kept": int(holds.sum()),
                "without_sync": int((hits["syncs"] == 0).sum()),
                "bytes": np.exp(np.log(sizes).mean()) if len(hits) else np.nan,
            }


def markdown(rows: pd.DataFrame) -> str:
    """A table with a row for each method, the best last evaluation first, for each workload of each suite."""
    parts = []
    for (suite, workload), own in rows.groupby(["suite", "workload"], sort=False):
        targets = list(own["target"].unique())
        first = own[own["target"] == targets[0]].sort_values("final", ascending=targets[0] > targets[-1])
        heads = ["method", "last evaluation ± sd", "syncs", "bytes", *(f"runs that reached {t:g}" for t in targets)]
        lines = [f"## {suite}: {workload}\n", f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
        for row in first.itertuples():
            cells = [_hits(own[(own["method"] == row.method) & (own["target"] == t)].iloc[0]) for t in targets]
            ends = [f"{row.final:.3f} ± {row.sd:.3f}", f"{row.syncs:.0f}", format_bytes(row.total_bytes)]
            lines.append(f"| {' | '.join([row.method, *ends, *cells])} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _hits(row: "pd.Series[float]") -> str:
    if not row["reached"]:
        return f"0 of {row['runs']}"
    remarks = []
    if row["without_sync"]:
        remarks.append(f"{row['without_sync']} before the first sync")
    if row["kept"] < row["reached"]:
        remarks.append(f"{row['reached'] - row['kept']} lost it again")
    text = f"{row['reached']} of {row['runs']}, {format_bytes(row['bytes'])}"
    return f"{text} ({'; '.join(remarks)})" if remarks else text


def main(
    folders: Annotated[
        list[Path], typer.Argument(exists=True, help="Results of the study's suites: folders or archives.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the tables.")] = Path("reports/study"),
) -> None:
    """Write outcomes.csv and outcomes.md."""
    views: Sequence[ResultsView] = [fdabench.load(folder) for folder in folders]
    rows = pd.DataFrame([row for view in views for row in outcomes(view)])
    out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(out / "outcomes.csv", index=False)
    (out / "outcomes.md").write_text(f"# How the runs of the study ended\n\n{markdown(rows)}", encoding="utf-8")
    typer.echo(f"2 files in {out}")


if __name__ == "__main__":
    typer.run(main)
