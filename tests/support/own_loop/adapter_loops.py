"""Loops of accelerate, Lightning and transformers, and their oracles. The packages are imported where they are used."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from fdabench import sync
from fdabench.engine.flatten import flatten
from fdabench.torchvision_compat import import_torchvision
from support.own_loop.loop_tasks import LoopEnd, end_of, small_model, train_step

# accelerate, Lightning and transformers import torchvision, which may not load beside a CPU-only torch by itself
import_torchvision("transforms")

STEPS, PERIOD = 9, 3
FEDAVG = {"kind": "fedavg", "local_steps": PERIOD}
FEDAVG_2 = {"kind": "fedavg", "local_steps": 2}


class PeriodEnds(NamedTuple):
    """The weights after `STEPS` steps with a sync after every `PERIOD` steps."""

    loop: Tensor
    accelerate: Tensor
    torch: Tensor


class Clouds(Dataset[dict[str, Tensor]]):
    """Samples that their index determines."""

    def __init__(self, samples: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(samples, 6, generator=generator)
        self.y = torch.randint(3, (samples,), generator=generator)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.x[index], "labels": self.y[index]}


class Classifier(nn.Module):
    """A model with the interface that transformers' Trainer expects."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = small_model()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.layers(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def weights(model: nn.Module) -> Tensor:
    return flatten([item.detach().clone() for item in model.parameters()])


def fixed_periods() -> PeriodEnds:
    """The same training with `fdabench.sync`, accelerate's LocalSGD and torch's PeriodicModelAverager."""
    from accelerate import Accelerator
    from accelerate.local_sgd import LocalSGD

    set_torchrun_variables()

    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = small_model()
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    actual, optimizer = start()
    with sync(actual, optimizer, FEDAVG):
        for draw in range(STEPS):
            train_step(actual, optimizer, draw)
    expected, optimizer = start()
    # LocalSGD calls `no_sync` of its model
    accelerator, expected = Accelerator(cpu=True), DistributedDataParallel(expected)
    with LocalSGD(accelerator, expected, PERIOD) as local_sgd:
        for draw in range(STEPS):
            train_step(expected, optimizer, draw)
            local_sgd.step()
    averaged, optimizer = start()
    # its counter begins at 0, so that of the step H is H - 1
    averager = PeriodicModelAverager(PERIOD, warmup_steps=PERIOD - 1)
    # in a hook of the step, because it leaves out parameters without a gradient
    optimizer.register_step_post_hook(lambda *_: averager.average_parameters(averaged.parameters()))
    for draw in range(STEPS):
        train_step(averaged, optimizer, draw)
    return PeriodEnds(weights(actual), weights(expected), weights(averaged))


def in_accelerate() -> LoopEnd:
    """A loop with accelerate's model, optimizer and gradient accumulation: 8 backward passes, 4 steps."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = small_model()
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    data = Clouds(64)
    with sync(model, optimizer, "fedavg", local_steps=2) as s:
        for batch in torch.arange(64).chunk(8):
            with accelerator.accumulate(model):
                actual = batch[dist.get_rank() :: dist.get_world_size()]
                accelerator.backward(nn.functional.cross_entropy(model(data.x[actual]), data.y[actual]))
                optimizer.step()
                optimizer.zero_grad()
    return end_of(model, s)


def in_lightning(processes: int, folder: str, table: Mapping[str, Any] = FEDAVG_2) -> LoopEnd:
    """Two epochs of four steps in a Lightning Trainer with a validation."""
    import lightning.pytorch as lightning

    from fdabench.own_loop.lightning_callback import SyncCallback

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = Classifier()

        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            return self.classifier(**batch)["loss"]

        def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.log("loss", self.classifier(**batch)["loss"], sync_dist=True)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module, callback = Module(), SyncCallback(partial(sync, strategy=table))
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=2,
        callbacks=[callback],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(Clouds(32 * processes), batch_size=8)
    trainer.fit(module, loader, DataLoader(Clouds(16), batch_size=8))
    return LoopEnd(weights(module), list(callback.session.ledger), callback.session.steps, callback.session.syncs)


def in_trainer(folder: str) -> LoopEnd:
    """Eight steps of transformers' Trainer, which logs at the fourth and the last."""
    from transformers import Trainer, TrainingArguments, trainer

    from fdabench.own_loop.transformers_callback import SyncCallback

    # the folder tests/datasets is on the path of the tests, and transformers would take it for the package `datasets`
    trainer.is_datasets_available = lambda: False
    world = dist.get_world_size() if dist.is_initialized() else 1
    options: dict[str, Any] = {"use_cpu": True, "report_to": [], "save_strategy": "no", "disable_tqdm": True}
    arguments = TrainingArguments(
        folder, max_steps=8, per_device_train_batch_size=4, logging_steps=4, optim="sgd", learning_rate=0.1, **options
    )
    training = Trainer(Classifier(), arguments, train_dataset=Clouds(64 * world))
    callback = SyncCallback(training, partial(sync, strategy="fedavg", local_steps=2))
    training.add_callback(callback)
    training.train()
    return end_of(training.model, callback.session)


def launched_by_torchrun(name: str, folder: str) -> LoopEnd:
    """Run one of the trainers' loops as under torchrun."""
    set_torchrun_variables()
    if name == "lightning":
        return in_lightning(dist.get_world_size(), folder)
    return in_accelerate() if name == "accelerate" else in_trainer(folder)


def set_torchrun_variables() -> None:
    """Set the environment variables by which the packages know that there are several processes."""
    rank, world = str(dist.get_rank()), str(dist.get_world_size())
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "ACCELERATE_USE_CPU": "true"}
