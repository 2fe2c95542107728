"""Bytes of packed messages, in the ledger and on the link: `sudo python benchmarks/packed_wire.py -o FOLDER`.

Two workers train an MLP of 1,500,010 parameters on the digits. Each worker is a process in its own network namespace
(`namespaces.py`), which has one link without a rate limit.

Measured: the counters of the network interfaces before and after each all-gather of packed messages. Predicted: the
size of the packed tensors, which the ledger has, times P (P - 1) for P processes, because each process receives the
messages of all others.

Needs root and iproute2. Prints a table in Markdown.
"""

from argparse import ArgumentParser
from pathlib import Path

from namespaces import INTERFACE, hosts

from fdabench.results.folder import ResultsFolder

SUITE = """
name = "packed"
plugins = ["wide.py"]
[budget]
steps = 8
[eval]
every_steps = 8
targets = [0.3]
[[workload]]
dataset = "digits"
model = "wide"
workers = 2
batch_size = 8
optimizer = { kind = "adam", lr = 1e-2 }
partition = "iid"
[[strategy]]
kind = "fedavg"
local_steps = 4
codec = ["bf16", "int8"]
[[strategy]]
kind = "fedavg"
local_steps = 4
codec = { kind = "topk", share = 0.2 }
feedback = 1.0
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.05
codec = "int8"
"""
MODEL = """
from torch import nn

from fdabench.models.base import Flatten, ModelSpec


def build(shape, classes):
    return nn.Sequential(Flatten(), nn.Linear(64, 20000), nn.ReLU(), nn.Linear(20000, classes))


MODELS = {"wide": ModelSpec(build, None, "1,500,010 parameters: 6 MB")}
"""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    folder = parser.parse_args().out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "packed.toml").write_text(SUITE)
    (folder / "wide.py").write_text(MODEL)
    options = ["--engine", "distributed", "--reduction", "ordered", "--network-interface", INTERFACE, "-q"]
    with hosts(2) as network:
        network.run(["fdabench", "run", "packed.toml", "-o", "results", *options], folder, 3600)
    print(_markdown(ResultsFolder(folder / "results")))


def _markdown(store: ResultsFolder) -> str:
    lines = ["| strategy | syncs | bytes of a message | bytes predicted | bytes received | ratio |", "|" + "---|" * 6]
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
