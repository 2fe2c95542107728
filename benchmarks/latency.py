"""Training time against the latency of links, measured and predicted: `sudo python benchmarks/latency.py -o FOLDER`.

`suites/wire.toml` trains in two processes. Each process is in a network namespace, and `forwarder.py` delivers every
packet after 0, 10, 40 or 100 ms. The predicted seconds of the method's collectives are those without latency plus those
that `fdabench.accounting.fleets` computes from the ledger for links with `rendezvous`. The distributed engine waits for
each collective, so slack counts for nothing. For the whole run, without its evaluations, the broadcasts in which rank 0
tells rank 1 whether to go on are added, two latencies for each.

Before that, `collectives.py` measures the collectives of gloo alone in two, three and four processes, with 40 ms.

Needs root, iproute2 and an otherwise idle machine. MNIST must be in the folder that FDABENCH_DATA names.
"""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
from namespaces import distant_hosts

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.fleets import Fleet, Links, fleet_time
from fdabench.accounting.step_time import Constant
from fdabench.experiment.checkpoint.state import next_interval
from fdabench.results.folder import ResultsFolder

SUITE = Path(__file__).resolve().parents[1] / "suites" / "wire.toml"
HOSTS, CONVENTION, STEPS = 2, "ring", 100
LATENCIES_MS = (0, 100, 40, 10)
COLLECTIVES_LATENCY_S = 0.04
CHANGES = (
    f"budget.steps={STEPS}",
    f"eval.every_steps={STEPS}",
    'strategy.3.monitor="linear"',
    "strategy.2={ kind = 'fda', monitor = 'linear', theta = 0.5, lag = 5, name = 'LinearFDA, lag 5' }",
)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results and the table")
    folder = parser.parse_args().out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "collectives.csv").exists():
        measure_collectives(folder).to_csv(folder / "collectives.csv")
    table = with_predictions(pd.DataFrame([row for latency_ms in LATENCIES_MS for row in measure(latency_ms, folder)]))
    table.to_csv(folder / "latency.csv", index=False)
    print(table.to_string(index=False))


def measure_collectives(folder: Path) -> pd.DataFrame:
    """Return the latencies that each collective takes, by its name and size, with a column for each number of ranks."""
    tables = []
    for ranks in (2, 3, 4):
        with distant_hosts(ranks, COLLECTIVES_LATENCY_S) as network:
            network.run(["benchmarks.collectives"], folder, 300)
        tables.append(pd.read_json(folder / "collectives.json").assign(ranks=ranks))
    (folder / "collectives.json").unlink()
    table = pd.concat(tables)
    table["latencies"] = (table["seconds"] / COLLECTIVES_LATENCY_S).round(2)
    return table.pivot_table("latencies", ["collective", "floats"], "ranks", sort=False)


def measure(latency_ms: int, folder: Path) -> list[dict[str, object]]:
    """Run the suite with a one-way latency in milliseconds and return a row for each cell.

    Cells that have results in `folder` are not run again.
    """
    out, sets = f"results-{latency_ms}ms", [part for change in CHANGES for part in ("--set", change)]
    arguments = [str(SUITE), "-o", out, *sets, "--engine", "distributed", "--reduction", "allreduce", "-q"]
    with distant_hosts(HOSTS, latency_ms / 1000) as network:
        network.run(["fdabench", "run", *arguments], folder, 1200)
    store = ResultsFolder(folder / out)
    return [measured_row(store, cell.id, cell.label, latency_ms) for cell in store.read_lock().cell]


def measured_row(store: ResultsFolder, cell_id: str, label: str, latency_ms: int) -> dict[str, object]:
    """Return the seconds of a cell: those of its collectives as measured, and what the latency adds by the model."""
    evals, ledger = (store.read_cell_table(cell_id, name).to_pandas() for name in ("evals", "ledger"))
    traffic = store.read_traffic(cell_id)
    assert traffic is not None
    collectives = traffic.to_pandas()
    is_evaluation = collectives["kind"] == "evaluation"
    wall_s, latency_s = float(evals["wall_s"].iloc[-1]), latency_ms / 1000
    fleet = Fleet(Constant(), Links((float("inf"),), (latency_s,), rendezvous=True))
    # the initial model is not sent: each rank makes it from the seed
    sent = ledger[ledger["kind"] != "initial"].assign(slack=0)
    return {
        "strategy": label,
        "latency_ms": latency_ms,
        "steps": STEPS,
        "collectives_s": float(collectives.loc[~is_evaluation, "seconds"].sum()),
        "run_s": wall_s - float(collectives.loc[is_evaluation, "seconds"].sum()),
        "latencies_s": fleet_time(sent, EvalPoint(STEPS, True), HOSTS, CONVENTION, fleet, 1.0, seed=0).communication,
        "control_s": 2 * latency_s * num_broadcasts(wall_s / STEPS, 2 * latency_s),
    }


def with_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the predicted seconds of the collectives and of the run, and the errors (measured / predicted - 1).

    The rows without latency are the base of the predictions.
    """
    base = rows[rows["latency_ms"] == 0].set_index("strategy")
    collectives_s = rows["strategy"].map(base["collectives_s"]) + rows["latencies_s"]
    run_s = rows["strategy"].map(base["run_s"]) + rows["latencies_s"] + rows["control_s"]
    return rows.assign(
        predicted_collectives_s=collectives_s,
        collectives_error=rows["collectives_s"] / collectives_s - 1,
        predicted_run_s=run_s,
        run_error=rows["run_s"] / run_s - 1,
    )


def num_broadcasts(step_s: float, broadcast_s: float) -> int:
    """Return how often rank 0 tells rank 1 whether to go on."""
    count, step, interval = 0, 0, 1
    while step < STEPS:
        count, step = count + 1, step + interval
        interval = next_interval(interval, step_s, broadcast_s)
    return count


if __name__ == "__main__":
    main()
