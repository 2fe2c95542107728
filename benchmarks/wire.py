"""What links carry and how long it takes, measured and predicted: `sudo python benchmarks/wire.py -o FOLDER`.

Every process of `suites/wire.toml` has a network namespace and a link of its own, which `tc` slows down. Measured: the
interfaces' counters around every average and, in runs of their own because that takes barriers, the clock without
evaluations. Predicted: the bytes by the collective's algorithm, which is the ledger read as `ring`; the time by
`accounting.network_time`, from the ledger, the time of a local step on links without a limit, and what Ethernet leaves
of a link for the payload. Needs root and iproute2, and a machine with a core for each host.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from namespaces import INTERFACE, Hosts, hosts

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.network_time import volume_at
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder

SUITE = Path(__file__).resolve().parents[1] / "suites" / "wire.toml"
HOSTS, CONVENTION, TARGET = 2, "ring", 0.9
GOODPUT = 1448 / 1514
"""Payload of a full Ethernet frame; the limit counts the headers as well."""
READ = "read"
RATES = {READ: 0.0, "none": 0.0, "1000mbit": 1e9, "100mbit": 1e8, "10mbit": 1e7}
"""Bits per second. The first two are without a limit: there the counters are read, and a local step is timed."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="results, and the tables and figure")
    folder = parser.parse_args().out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    stores = {}
    with hosts(HOSTS) as made:
        for rate in RATES:
            stores[rate] = _measured(made, rate, folder)
    cells = [_row(rate, store, record) for rate, store in stores.items() for record in _records(store)]
    table = _with_predictions(pd.DataFrame(cells))
    table.to_csv(folder / "wire.csv", index=False)
    _draw(table, folder / "time.png")
    print(_markdown(table))


def _measured(made: Hosts, rate: str, folder: Path) -> ResultsFolder:
    """Run the suite over links of this rate; what is done already is not run again."""
    if RATES[rate]:
        made.limit(RATES[rate])
    arguments = ["--engine", "distributed", "--reduction", "allreduce", "-q"]
    arguments += ["--network-interface", INTERFACE] if rate == READ else []
    made.run(["fdabench", "run", str(SUITE), "-o", f"results-{rate}", *arguments], folder, 3600)
    return ResultsFolder(folder / f"results-{rate}")


def _records(store: ResultsFolder) -> list[CellRecord]:
    actual = (store.read_record(cell.id) for cell in store.read_lock().cell)
    return [record for record in actual if record is not None]


def _row(rate: str, store: ResultsFolder, record: CellRecord) -> dict[str, Any]:
    """One cell on one kind of link: what its ledger says, what the counters said, and the clock."""
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
    """Seconds by the ledger and by the time of a step where the links have no limit, what is sent after it included."""
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
    for row in free.itertuples():
        ratio = row.model_received_bytes / row.model_predicted_bytes
        lines.append(
            f"| {row.strategy} | {row.syncs} | {row.model_predicted_bytes:,} | {row.model_received_bytes:,} "
            f"| {ratio:.4f} | {row.state_predicted_bytes:,} | {row.state_received_bytes:,} |"
        )
    return "\n".join(lines)


def _time_table(limited: pd.DataFrame) -> str:
    lines = [
        "| strategy | link | measured | predicted | error | in collectives | time per step | to 90 % accuracy |",
        "|" + "---|" * 8,
    ]
    for row in limited.itertuples():
        reached = "not reached" if pd.isna(row.to_target_s) else f"{row.to_target_s:.2f} s"
        lines.append(
            f"| {row.strategy} | {row.rate} | {row.measured_s:.2f} s | {row.predicted_s:.2f} s "
            f"| {100 * row.off:+.0f} % | {row.collectives_s:.2f} s "
            f"| {1000 * row.measured_s / row.steps:.1f} ms | {reached} |"
        )
    return "\n".join(lines)


def _draw(table: pd.DataFrame, path: Path) -> None:
    """Seconds against the link: points measured, lines predicted; beside it, what it took to reach the target."""
    figure, (all_steps, to_target) = plt.subplots(1, 2, figsize=(8.4, 4.2), sharey=True, layout="constrained")
    limited = table[table["bits_per_s"] > 0].sort_values("bits_per_s")
    rates = np.geomspace(limited["bits_per_s"].min(), limited["bits_per_s"].max(), 100)
    looks = zip("osD^vP", ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))), strict=True)
    for (marker, style), (strategy, actual) in zip(looks, limited.groupby("strategy", sort=False), strict=False):
        one = actual.iloc[0]
        seconds = one["steps"] * one["step_s"] + 8 * one["ledger_bytes"] / one["workers"] / (GOODPUT * rates)
        (line,) = all_steps.plot(rates / 1e6, seconds, ls=style, lw=1.2)
        point = {"marker": marker, "color": line.get_color(), "ms": 6.5, "mfc": "white", "label": strategy}
        all_steps.plot(actual["bits_per_s"] / 1e6, actual["measured_s"], ls="", **point)
        to_target.plot(actual["bits_per_s"] / 1e6, actual["to_target_s"], ls=style, lw=1.2, **point)
    all_steps.set_title(f"{limited['steps'].max()} local steps: measured, and predicted (lines)", fontsize=10)
    to_target.set_title(f"{TARGET:.0%} accuracy, measured", fontsize=10)
    for axes in (all_steps, to_target):
        axes.set(xscale="log", yscale="log", xlabel="link of each host, Mbit/s")
        axes.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
        axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    all_steps.set_ylabel("seconds")
    to_target.legend(frameon=False)
    for suffix in ("svg", "png"):
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, metadata={"Date": None} if suffix == "svg" else None)


if __name__ == "__main__":
    main()
