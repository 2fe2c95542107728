"""Training time against the latency of links, measured and predicted: `sudo python benchmarks/latency.py -o FOLDER`.

`suites/wire.toml` trains in two processes. Each process is in a network namespace, and `forwarder.py` delivers every
packet after 0, 10, 40 or 100 ms. The measured time is the time of the run without its evaluations. The predicted time
is the measured time without latency plus the latency of all messages that wait for each other:

- two for each collective in the ledger, because a ring of two processes has two stages;
- one for each broadcast in which rank 0 tells the others whether to continue. There is one every 0.25 s, or after every
  step if a step takes longer.

Needs root, iproute2 and an otherwise idle machine. MNIST must be in the folder that FDABENCH_DATA names.
"""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
from namespaces import distant_hosts

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.network_time import volume_at
from fdabench.experiment.checkpoint.state import CONTROL_INTERVAL_S
from fdabench.results.folder import ResultsFolder

SUITE = Path(__file__).resolve().parents[1] / "suites" / "wire.toml"
HOSTS, CONVENTION, STEPS = 2, "ring", 40
LATENCIES_MS = (0, 100, 40, 10)
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
    rows = [row for latency_ms in LATENCIES_MS for row in measure(latency_ms, folder)]
    table = with_predictions(pd.DataFrame(rows))
    table.to_csv(folder / "latency.csv", index=False)
    print(table.to_string(index=False))


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
    """Return the messages that wait for each other (from the ledger) and the seconds without evaluations of a cell."""
    evals, ledger = (store.read_cell_table(cell_id, name).to_pandas() for name in ("evals", "ledger"))
    traffic = store.read_traffic(cell_id)
    assert traffic is not None
    collectives = traffic.to_pandas()
    evaluation_s = collectives[collectives["kind"] == "evaluation"]["seconds"].sum()
    volume = volume_at(ledger, EvalPoint(STEPS, True), HOSTS, CONVENTION)
    seconds = float(evals["wall_s"].iloc[-1] - evaluation_s)
    messages = volume.sequential_messages
    return {"strategy": label, "latency_ms": latency_ms, "messages": messages, "measured_s": seconds}


def with_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `predicted_s` and `relative_error` (measured / predicted - 1)."""
    without_latency_s = rows[rows["latency_ms"] == 0].set_index("strategy")["measured_s"]
    latency_s = rows["latency_ms"] / 1000
    base_s = rows["strategy"].map(without_latency_s) + rows["messages"] * latency_s
    # rank 0 broadcasts after every step if a step takes longer than the interval, else once in an interval
    broadcasts = (base_s / (CONTROL_INTERVAL_S - latency_s).clip(lower=1e-9)).clip(upper=STEPS)
    predicted_s = base_s + broadcasts * latency_s
    return rows.assign(predicted_s=predicted_s, relative_error=rows["measured_s"] / predicted_s - 1)


if __name__ == "__main__":
    main()
