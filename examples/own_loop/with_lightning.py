"""LinearFDA in a Lightning Trainer on the digits, on two processes:

    torchrun --nproc-per-node 2 examples/own_loop/with_lightning.py
    fdabench report results/own-loop-lightning

Each process validates its own model on its share of the validation data; Lightning averages the metrics.
"""

import os
from functools import partial

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fdabench import sync
from fdabench.api import RunDescription
from fdabench.own_loop.lightning_callback import SyncCallback


class Classifier(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.loss_of = nn.CrossEntropyLoss()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        return self.loss_of(self.layers(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, labels = batch
        logits = self.layers(images)
        metrics = {"accuracy": (logits.argmax(1) == labels).float().mean(), "loss": self.loss_of(logits, labels)}
        self.log_dict(metrics, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class LoggingSync(SyncCallback):
    """A `SyncCallback` that records each validation."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            metrics = trainer.callback_metrics
            self.session.log(accuracy=metrics["accuracy"].item(), loss=metrics["loss"].item())


def main() -> None:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    callback = LoggingSync(partial(sync, strategy="fda", monitor="linear", theta=0.05))
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=10,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=32, shuffle=True)
    trainer.fit(Classifier(), train, DataLoader(TensorDataset(x[1500:], y[1500:]), batch_size=297))
    s = callback.session
    s.save("results/own-loop-lightning", RunDescription("digits", "mlp", batch_size=32, targets=(0.85,)))
    if trainer.is_global_zero:
        print(f"{s.steps} steps, {s.syncs} syncs: fdabench report results/own-loop-lightning")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
