"""The workers held by this process, as one matrix. Shape suffixes: K = workers held here, D = parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.engine.batches import Sampler
from fdabench.engine.gradients import Batch, Losses, Sequential, flatten
from fdabench.optimizers import LocalOptimizer


class Workers:
    """Row k of `w_KD` is the model of the k-th worker held here; one elementwise optimizer steps them all."""

    def __init__(
        self, model: nn.Module, local: LocalOptimizer, samplers: Sequence[Sampler], train_x: Tensor, train_y: Tensor
    ) -> None:
        self.w_KD = flatten(model).repeat(len(samplers), 1)
        g_KD = torch.zeros_like(self.w_KD)
        self._rows = [nn.Parameter(w_D) for w_D in self.w_KD]
        for row, g_D in zip(self._rows, g_KD, strict=True):
            row.grad = g_D
        self._gradients = Sequential(model, self.w_KD, g_KD)
        self._local, self._optimizer = local, local.build(self._rows)
        self._samplers, self._x, self._y = samplers, train_x, train_y

    def step(self) -> Losses:
        """One local optimizer step by every worker on a fresh mini-batch."""
        losses = self._gradients([self._batch(sampler) for sampler in self._samplers])
        self._optimizer.step()
        return losses

    def _batch(self, sampler: Sampler) -> Batch:
        drawn = torch.from_numpy(sampler.draw()).to(self._x.device)
        # indexing does not keep the layout in which the images are held
        return self._x[drawn].contiguous(memory_format=torch.channels_last), self._y[drawn]

    @torch.no_grad()
    def adopt(self, w_KD: Tensor, channel: Channel) -> None:
        """Go on from other models; the optimizer's state is kept, reset or averaged as the local optimizer says."""
        self.w_KD.copy_(w_KD)
        if self._local.at_sync == "reset":
            self._optimizer.state.clear()
        elif self._local.at_sync == "average":
            for rows in self._moments():
                mean_D = channel.mean(torch.stack(rows), "optimizer")
                for moment_D in rows:
                    moment_D.copy_(mean_D)

    def _moments(self) -> list[list[Tensor]]:
        """What the optimizer remembers of each parameter, such as momentum: for each kind, a row for each worker."""
        states = [self._optimizer.state[row] for row in self._rows]
        kinds = [kind for kind, value in states[0].items() if torch.is_tensor(value) and value.dim()]
        return [[state[kind] for state in states] for kind in kinds]
