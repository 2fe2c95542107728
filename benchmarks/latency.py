"""What latency costs, measured and predicted: `sudo python benchmarks/latency.py -o FOLDER`; MNIST in FDABENCH_DATA.

Two processes of `suites/wire.toml`, each in a network namespace, whose packets `forwarder.py` passes on after 0, 10, 40
and 100 ms. Measured: the clock without evaluations. Predicted: the time of the same steps without latency, two messages
after each other for each collective of the ledger (a ring of two), and one for each time that rank 0 says whether to go
on, which is after each step or every 0.25 s.
"""

import sys
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
    parser.add_argument("-o", "--out", type=Path, required=True, help="results and the table")
    folder = parser.parse_args().out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for latency_ms in LATENCIES_MS for row in measured(latency_ms, folder)]
    table = with_predictions(pd.DataFrame(rows))
    table.to_csv(folder / "latency.csv", index=False)
    print(table.to_string(index=False))


def measured(latency_ms: int, folder: Path) -> list[dict[str, object]]:
    """Run the suite with this latency; what is done already is not run again."""
    out, sets = f"results-{latency_ms}ms", [part for change in CHANGES for part in ("--set", change)]
    arguments = [str(SUITE), "-o", out, *sets, "--engine", "distributed", "--reduction", "allreduce", "-q"]
    with distant_hosts(HOSTS, latency_ms / 1000) as made:
        done = made.run(["fdabench", "run", *arguments], folder, 1200)
    if any(program.returncode for program in done):
        sys.exit("\n".join(program.stderr for program in done))
    store = ResultsFolder(folder / out)
    return [row(store, cell.id, cell.label, latency_ms) for cell in store.read_lock().cell]


def row(store: ResultsFolder, cell_id: str, label: str, latency_ms: int) -> dict[str, object]:
    evals, ledger = (store.read_cell_table(cell_id, name).to_pandas() for name in ("evals", "ledger"))
    traffic = store.read_traffic(cell_id)
    assert traffic is not None
    visited = traffic.to_pandas()
    apart = visited[visited["kind"] == "evaluation"]["seconds"].sum()
    volume = volume_at(ledger, EvalPoint(STEPS, True), HOSTS, CONVENTION)
    seconds = float(evals["wall_s"].iloc[-1] - apart)
    messages = volume.sequential_messages
    return {"strategy": label, "latency_ms": latency_ms, "messages": messages, "measured_s": seconds}


def with_predictions(rows: pd.DataFrame) -> pd.DataFrame:
    free = rows[rows["latency_ms"] == 0].set_index("strategy")["measured_s"]
    latency_s = rows["latency_ms"] / 1000
    base_s = rows["strategy"].map(free) + rows["messages"] * latency_s
    # rank 0 speaks after each step that takes longer than the interval, else once in an interval
    times = (base_s / (CONTROL_INTERVAL_S - latency_s).clip(lower=1e-9)).clip(upper=STEPS)
    predicted_s = base_s + times * latency_s
    return rows.assign(predicted_s=predicted_s, off=rows["measured_s"] / predicted_s - 1)


if __name__ == "__main__":
    main()
