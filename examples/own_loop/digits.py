"""LinearFDA in a plain PyTorch loop on the digits, on two processes:

    torchrun --nproc-per-node 2 examples/own_loop/digits.py
    fdabench report results/own-loop

Each process learns from its own half of the digits and has its own optimizer. The models are averaged when their
estimated variance exceeds theta.
"""

import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits

from fdabench import sync
from fdabench.api import RunDescription


def main() -> None:
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    rank, size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    train_x, train_y = x[:1500][rank::size], y[:1500][rank::size]
    torch.manual_seed(rank)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 192),
        torch.nn.ReLU(),
        torch.nn.Linear(192, 192),
        torch.nn.ReLU(),
        torch.nn.Linear(192, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    with sync(model, optimizer, "fda", monitor="linear", theta=0.05) as s:
        for _ in range(10):
            for batch in torch.randperm(len(train_y)).split(32):
                loss_of(model(train_x[batch]), train_y[batch]).backward()
                optimizer.step()
                optimizer.zero_grad()
            with torch.no_grad():
                logits = model(x[1500:])
            s.log(accuracy=(logits.argmax(1) == y[1500:]).float().mean().item(), loss=loss_of(logits, y[1500:]).item())
    s.save("results/own-loop", RunDescription("digits", "mlp", batch_size=32, targets=(0.85,)))
    if rank == 0:
        print(f"{s.steps} steps, {s.syncs} syncs: fdabench report results/own-loop")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
