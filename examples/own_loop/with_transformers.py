"""LinearFDA in transformers' Trainer on the digits, on two processes:

    torchrun --nproc-per-node 2 examples/own_loop/with_transformers.py
    fdabench report results/own-loop-transformers

Any model of transformers fits; this one is small, so that the example needs no download.
"""

import tempfile
from functools import partial
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from transformers import EvalPrediction, Trainer, TrainerControl, TrainerState, TrainingArguments

from fdabench import sync
from fdabench.api import RunDescription
from fdabench.own_loop.transformers_callback import SyncCallback


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.layers(pixels)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class LoggingSync(SyncCallback):
    """A `SyncCallback` that records each evaluation."""

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **others: object,
    ) -> None:
        self.session.log(accuracy=metrics["eval_accuracy"], loss=metrics["eval_loss"])


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images, dtype=torch.float32) / 16
    samples: list[Any] = [{"pixels": image, "labels": int(label)} for image, label in zip(pixels, labels, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=10,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=297,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(
            Classifier(), arguments, train_dataset=samples[:1500], eval_dataset=samples[1500:], compute_metrics=accuracy
        )
        callback = LoggingSync(trainer, partial(sync, strategy="fda", monitor="linear", theta=0.05))
        trainer.add_callback(callback)
        trainer.train()
    s = callback.session
    s.save("results/own-loop-transformers", RunDescription("digits", "mlp", batch_size=32, targets=(0.85,)))
    if trainer.is_world_process_zero():
        print(f"{s.steps} steps, {s.syncs} syncs: fdabench report results/own-loop-transformers")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
