"""The bytes of packed messages by the ledger and on the wire: `sudo python benchmarks/packed_wire.py -o FOLDER`.

Every process of `suites/wire-packed.toml` has a network namespace and a link of its own (`namespaces.py`), without a
limit of its speed. Measured: the interfaces' counters around each gather of packed messages. Predicted: the bytes of the
packed tensors, which the ledger has, by the collective's algorithm. Needs root and iproute2. Prints a table in markdown.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from namespaces import INTERFACE, hosts

from fdabench.results.folder import ResultsFolder

SUITE = Path(__file__).resolve().parents[1] / "suites" / "wire-packed.toml"


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the results")
    folder = parser.parse_args().out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--engine", "distributed", "--reduction", "ordered", "--network-interface", INTERFACE, "-q"]
    with hosts(2) as made:
        done = made.run(["fdabench", "run", str(SUITE), "-o", "results", *options], folder, 3600)
    if any(each.returncode for each in done):
        sys.exit("\n".join(each.stderr for each in done))
    print(_markdown(ResultsFolder(folder / "results")))


def _markdown(store: ResultsFolder) -> str:
    lines = ["| strategy | syncs | bytes of a message | predicted | on the wire | ratio |", "|" + "---|" * 6]
    for cell in store.read_lock().cell:
        traffic = store.read_traffic(cell.id)
        assert traffic is not None
        models = traffic.to_pandas().query("kind == 'model'")
        predicted, received = models["predicted_bytes"].sum(), models["received_bytes"].sum()
        lines.append(
            f"| {cell.label} | {models['count'].sum()} | {models['payload_bytes'].max():,} "
            f"| {predicted:,} | {received:,} | {received / predicted:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
