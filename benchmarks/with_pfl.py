"""The work in pfl-research; run inside its own environment, for two processes under torchrun.

What was chosen to make it fast, as its documentation and source advise:
- all users live in memory as tensors, and `PyTorchTensorDataset` objects are kept, so that pfl caches their batches;
- no weights of users for its scheduler: shares are equal, and weights start one more process per rank to sort cohorts;
- no callbacks, no validation users, nothing sent to the platform's log.
Each process trains every second user of the cohort, so two processes have five each, and it sums over gloo.
"""

from collections.abc import Iterator
from importlib.metadata import version
from itertools import cycle

import numpy as np
import torch
import work
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn


class LeNet5(nn.Module):
    """The shared model as pfl wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = work.lenet5()

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.layers(images), labels)

    def metrics(self, images: Tensor, labels: Tensor) -> dict[str, object]:
        """Nothing: pfl evaluates its first iteration whatever the frequency, and that must not cost a forward pass."""
        return {}


def users(kind: str) -> FederatedDataset:
    """Ten users, in turn: a cohort of ten has each of them once.

    In `step`, a user's data set is its next batch: pfl always begins a data set at its first batch.
    """
    datasets: list[Iterator[PyTorchTensorDataset]] = []
    for worker in range(work.WORKERS):
        parts = work.batches(worker)
        if kind == "round":
            images, labels = zip(*parts, strict=True)
            parts = [(torch.cat(images), torch.cat(labels))]
        datasets.append(cycle([PyTorchTensorDataset(part) for part in parts]))
    sampler = get_user_sampler("minimize_reuse", range(work.WORKERS))
    return FederatedDataset(lambda user: next(datasets[user]), sampler)


def main() -> None:
    arguments = work.arguments()
    torch.set_num_threads(1)
    np.random.seed(0)  # every process has to draw the same cohorts
    module, data = LeNet5(), users(arguments.work)
    model = PyTorchModel(module, torch.optim.SGD, torch.optim.SGD(module.parameters(), 1.0))
    backend = SimulatedBackend(data, data)
    local = NNTrainHyperParams(local_batch_size=work.BATCH, local_num_epochs=1, local_learning_rate=work.RATE)

    def advance(times: int) -> None:
        params = NNAlgorithmParams(times, times, work.WORKERS, None)
        algorithm, evaluation = FederatedAveraging(), NNEvalHyperParams(work.BATCH)
        algorithm.run(params, backend, model, local, evaluation, send_metrics_to_platform=False)

    outcome = work.time_it(arguments.work, arguments.seconds, advance, lambda: work.weights(module))
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        work.say(version("pfl"), outcome)
    work.leave()  # pfl does not


if __name__ == "__main__":
    main()
