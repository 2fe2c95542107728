"""The work in Flower's simulation runtime; run inside its own environment.

What was chosen to make it fast:
- each actor has one CPU, keeps the data and one model for its life, and gets and sends nothing but the parameters;
- no evaluation, by clients or server; logs of errors only; no dashboard;
- the client app lives in a module that actors import: what is defined in `__main__` would be sent along each time;
- the server looks for replies every 10 ms, not every 100 ms. The runtime itself looks for new messages every 100 ms and
  has no setting for it; this is what bounds `step`.
"""

import logging
import os
import sys
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import torch
import work
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor, nn

client = ClientApp()
server = ServerApp()


@cache
def local() -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model that an actor trains, whichever worker it plays; plain SGD has no state to keep apart."""
    torch.set_num_threads(1)
    model = work.lenet5()
    return model, torch.optim.SGD(model.parameters(), work.RATE)


@client.train()  # type: ignore[untyped-decorator]
def train(message: Message, context: Context) -> Message:
    """An epoch, or the step whose turn it is."""
    model, optimizer = local()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    steps = message.content["config"]["steps"]
    begin = (message.content["config"]["server-round"] - 1) * steps % work.BATCHES
    for batch in islice(work.batches(int(context.node_config["partition-id"])), begin, begin + steps):
        work.train(model, optimizer, batch)
    metrics = MetricRecord({"num-examples": steps * work.BATCH})
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)


class Strict(FedAvg):  # type: ignore[misc]
    """FedAvg leaves out clients that failed; then the samples would be fewer than counted."""

    def aggregate_train(self, server_round: int, replies: list[Message]) -> tuple[ArrayRecord, MetricRecord]:
        errors = [str(reply.error.reason) for reply in replies if reply.has_error()]
        if errors or len(replies) != work.WORKERS:
            raise RuntimeError(f"{len(replies)} replies; errors: {errors[:1]}")
        aggregate: tuple[ArrayRecord, MetricRecord] = super().aggregate_train(server_round, replies)
        return aggregate


@server.main()  # type: ignore[untyped-decorator]
def serve(grid: Grid, context: Context) -> None:
    """Time rounds of FedAvg over all clients."""
    arguments = work.arguments()
    grid.pull_interval = 0.01
    model = work.lenet5()
    config = {"steps": work.STEPS[arguments.work]}

    def advance(times: int) -> None:
        strategy = Strict(min_train_nodes=work.WORKERS, min_available_nodes=work.WORKERS, fraction_evaluate=0.0)
        arrays = ArrayRecord(model.state_dict())
        result = strategy.start(grid, arrays, num_rounds=times, train_config=ConfigRecord(config))
        model.load_state_dict(result.arrays.to_torch_state_dict())

    def current() -> Tensor:
        return work.weights(model)

    work.say(version("flwr"), work.time_it(arguments.work, arguments.seconds, advance, current))


def main() -> None:
    os.environ["FLWR_HOME"] = str(Path(sys.prefix) / "home")  # it writes an id there even with its telemetry off
    logging.getLogger("flwr").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    actors = work.arguments().processes
    backend = {"init_args": {"num_cpus": actors, "num_gpus": 0}, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(server, client, work.WORKERS, backend_config=backend)


if __name__ == "__main__":
    import with_flower  # as a module: see above

    with_flower.main()
