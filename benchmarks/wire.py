"""Bytes on links and training time, measured and predicted: `sudo python benchmarks/wire.py -o FOLDER`.

`suites/wire.toml` trains in two processes. Each process is in its own network namespace, which has one link whose rate
`tc` limits.

Bytes are measured in runs of their own, because reading the counters of the network interfaces takes barriers: the
counters are read before and after each collective. Predicted are the bytes of the ring algorithm, which the ledger has
in the convention `ring`.

The measured time is the time of a run without its evaluations. The predicted time is the time of the same steps on
links without a limit, plus the time to send the bytes of the ledger at the rate of the link, of which Ethernet headers
take a part.

Needs root, iproute2 and a processor core for each process. MNIST must be in the folder that FDABENCH_DATA names.
Without root, `python benchmarks/wire.py --table wire.csv -o FOLDER` draws the figure of an existing table again.
"""

import math
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from namespaces import INTERFACE, Hosts, hosts

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.network_time import volume_at
from fdabench.report.figures.canvas import large_marker, shifts_of
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder

SUITE = Path(__file__).resolve().parents[1] / "suites" / "wire.toml"
HOSTS, CONVENTION, TARGET = 2, "ring", 0.9
GOODPUT = 1448 / 1514
"""The part of a full Ethernet frame that is payload. The limit of `tc` counts the headers as well."""
READ = "read"
LOOKS: Sequence[tuple[str, Any]] = (
    ("o", "-"),
    ("s", "--"),
    ("D", "-."),
    ("^", ":"),
    ("v", (0, (5, 1))),
    ("P", (0, (3, 1, 1, 1))),
)
"""The marker and the dashes of each strategy."""
RATES = {READ: 0.0, "none": 0.0, "1000mbit": 1e9, "100mbit": 1e8, "10mbit": 1e7}
"""Bits per second; 0 means no limit. The counters are read on `READ`, and the time of a local step is from `none`."""
PANEL = (270.0, 245.0)
"""The width and the height of a panel's data area, in points."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for results, table and figure")
    parser.add_argument("--table", type=Path, help="draw the figure of this wire.csv and print its tables; run nothing")
    options = parser.parse_args()
    folder = options.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if options.table:
        table = pd.read_csv(options.table)
    else:
        table = _measured_table(folder)
        table.to_csv(folder / "wire.csv", index=False)
    save(draw(table), folder / "time")
    print(_markdown(table))


def _measured_table(folder: Path) -> pd.DataFrame:
    """Run the suite over all links and return a row for each link and cell, with the predictions."""
    stores = {}
    with hosts(HOSTS) as network:
        for rate in RATES:
            stores[rate] = _measured(network, rate, folder)
    cells = [_row(rate, store, record) for rate, store in stores.items() for record in _records(store)]
    return _with_predictions(pd.DataFrame(cells))


def _measured(network: Hosts, rate: str, folder: Path) -> ResultsFolder:
    """Run the suite over links of one rate. Cells that have results in `folder` are not run again."""
    if RATES[rate]:
        network.limit(RATES[rate])
    arguments = ["--engine", "distributed", "--reduction", "allreduce", "-q"]
    arguments += ["--network-interface", INTERFACE] if rate == READ else []
    network.run(["fdabench", "run", str(SUITE), "-o", f"results-{rate}", *arguments], folder, 3600)
    return ResultsFolder(folder / f"results-{rate}")


def _records(store: ResultsFolder) -> list[CellRecord]:
    actual = (store.read_record(cell.id) for cell in store.read_lock().cell)
    return [record for record in actual if record is not None]


def _row(rate: str, store: ResultsFolder, record: CellRecord) -> dict[str, Any]:
    """The bytes of the ledger, the bytes of the counters and the times of one cell on one kind of link."""
    cell_id, workers = record.id, record.config.workers
    evals, ledger = (store.read_cell_table(cell_id, name).to_pandas() for name in ("evals", "ledger"))
    wire = store.read_traffic(cell_id)
    assert wire is not None
    visited = wire.to_pandas()
    apart, paid = visited[visited["kind"] == "evaluation"], visited[visited["kind"] != "evaluation"]
    models = paid[paid["kind"] == "model"]
    last = evals.iloc[-1]
    volume = volume_at(ledger, EvalPoint(int(last["step"]), True), workers, CONVENTION)
    hit = evals[evals["test_accuracy"] > TARGET].head(1)
    before = apart[apart["step"] <= (hit["step"].iloc[0] if len(hit) else 0)]["seconds"].sum()
    return {
        "strategy": record.label,
        "rate": rate,
        "bits_per_s": RATES[rate],
        "steps": int(last["step"]),
        "syncs": len(models),
        "ledger_bytes": volume.wire_bytes,
        "model_predicted_bytes": int(models["predicted_bytes"].sum()),
        "model_received_bytes": int(models["received_bytes"].sum()),
        "state_predicted_bytes": int(paid[paid["kind"] == "state"]["predicted_bytes"].sum()),
        "state_received_bytes": int(paid[paid["kind"] == "state"]["received_bytes"].sum()),
        "collectives_s": float(paid["seconds"].sum()),
        "measured_s": float(last["wall_s"] - apart["seconds"].sum()),
        "to_target_s": float(hit["wall_s"].iloc[0] - before) if len(hit) else float("nan"),
        "workers": workers,
    }


def _with_predictions(cells: pd.DataFrame) -> pd.DataFrame:
    """Add the time of a step on links without a limit, the predicted seconds, and the relative error `off`."""
    free = cells[cells["rate"] == "none"].set_index("strategy")
    step_s = free["measured_s"] / free["steps"]
    cells = cells.assign(step_s=cells["strategy"].map(step_s))
    speed = GOODPUT * cells["bits_per_s"].where(cells["bits_per_s"] > 0)
    on_link = 8 * cells["ledger_bytes"] / cells["workers"] / speed
    predicted = cells["steps"] * cells["step_s"] + on_link
    return cells.assign(predicted_s=predicted, off=cells["measured_s"] / predicted - 1)


def _markdown(table: pd.DataFrame) -> str:
    return f"{_bytes_table(table[table['rate'] == READ])}\n\n{_time_table(table[table['bits_per_s'] > 0])}"


def _bytes_table(free: pd.DataFrame) -> str:
    lines = [
        "| strategy | syncs | model bytes, predicted | received | ratio | state bytes, payload | received |",
        "|" + "---|" * 7,
    ]
    for row in free.to_dict("records"):
        ratio = row["model_received_bytes"] / row["model_predicted_bytes"]
        lines.append(
            f"| {row['strategy']} | {row['syncs']} | {row['model_predicted_bytes']:,} "
            f"| {row['model_received_bytes']:,} | {ratio:.4f} | {row['state_predicted_bytes']:,} "
            f"| {row['state_received_bytes']:,} |"
        )
    return "\n".join(lines)


def _time_table(limited: pd.DataFrame) -> str:
    lines = [
        "| strategy | link | measured | predicted | error | in collectives | time per step | to 90 % accuracy |",
        "|" + "---|" * 8,
    ]
    for row in limited.to_dict("records"):
        reached = "not reached" if math.isnan(row["to_target_s"]) else f"{row['to_target_s']:.2f} s"
        lines.append(
            f"| {row['strategy']} | {row['rate']} | {row['measured_s']:.2f} s | {row['predicted_s']:.2f} s "
            f"| {100 * row['off']:+.0f} % | {row['collectives_s']:.2f} s "
            f"| {1000 * row['measured_s'] / row['steps']:.1f} ms | {reached} |"
        )
    return "\n".join(lines)


def draw(table: pd.DataFrame) -> Figure:
    """Draw the time of all steps, measured and predicted, and the measured time to the target, against the link's rate.

    Markers that would overlap are shifted sideways; a thin line leads from each to its true position.

    Args:
        table: with the columns of `wire.csv`.
    """
    figure = Figure(figsize=(8.4, 4.7), layout="constrained")
    all_steps, to_target = figure.subplots(1, 2, sharey=True)
    limited = table[table["bits_per_s"] > 0].sort_values("bits_per_s")
    limits = (6.0, 1700.0), (0.6, 90.0)
    strategies = list(limited["strategy"].unique())
    looks = dict(zip(strategies, LOOKS, strict=False))
    colors = {strategy: f"C{i}" for i, strategy in enumerate(strategies)}
    rates = np.geomspace(limited["bits_per_s"].min(), limited["bits_per_s"].max(), 100)
    for strategy, (_, dashes) in looks.items():
        of_strategy = limited[limited["strategy"] == strategy]
        one = of_strategy.iloc[0]
        seconds = one["steps"] * one["step_s"] + 8 * one["ledger_bytes"] / one["workers"] / (GOODPUT * rates)
        line: dict[str, Any] = {"color": colors[strategy], "linestyle": dashes, "linewidth": 1.2}
        all_steps.plot(rates / 1e6, seconds, **line)
        to_target.plot(of_strategy["bits_per_s"] / 1e6, of_strategy["to_target_s"], **line)
    for axes, column in ((all_steps, "measured_s"), (to_target, "to_target_s")):
        points = list(zip(limited["bits_per_s"] / 1e6, limited[column], strict=True))
        for strategy, point, shift in zip(limited["strategy"], points, shifts_of(points, *limits, PANEL), strict=True):
            large_marker(axes, point, shift, {**_marker(looks[strategy][0], colors[strategy]), "zorder": 4})
        axes.set(xscale="log", yscale="log", xlabel="link of each host, Mbit/s")
        axes.set(xlim=limits[0], ylim=limits[1])
        axes.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
        axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    all_steps.set_title(f"{limited['steps'].max()} local steps: measured, and predicted (lines)", fontsize=10)
    to_target.set_title(f"{100 * TARGET:.0f} % accuracy, measured", fontsize=10)
    all_steps.set_ylabel("seconds")
    keys = [
        Line2D([], [], linestyle=dashes, linewidth=1.2, label=strategy, **_marker(shape, colors[strategy]))
        for strategy, (shape, dashes) in looks.items()
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False, handlelength=4)
    return figure


def _marker(shape: str, color: str) -> dict[str, Any]:
    return {"marker": shape, "color": color, "markersize": 6.5, "markerfacecolor": "white"}


def save(figure: Figure, path: Path) -> None:
    """Write the figure as SVG and PNG. The bytes do not depend on the time."""
    with rc_context({"svg.hashsalt": "fdabench"}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
        figure.savefig(path.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
