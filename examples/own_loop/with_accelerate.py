"""LinearFDA in a loop with accelerate on the digits, on two processes:

    torchrun --nproc-per-node 2 examples/own_loop/with_accelerate.py
    fdabench report results/own-loop-accelerate

accelerate gives each process its share of the batches. It wraps the model in DistributedDataParallel, which averages no
gradients within the block.
"""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from fdabench import sync
from fdabench.api import RunDescription


def main() -> None:
    accelerator = Accelerator(cpu=True)
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=32, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    loss_of = torch.nn.CrossEntropyLoss()
    with sync(model, optimizer, "fda", monitor="linear", theta=0.05) as s:
        for _ in range(10):
            for images, labels in loader:
                accelerator.backward(loss_of(model(images), labels))
                optimizer.step()
                optimizer.zero_grad()
            with torch.no_grad():
                logits = model(x[1500:])
            s.log(accuracy=(logits.argmax(1) == y[1500:]).float().mean().item(), loss=loss_of(logits, y[1500:]).item())
    s.save("results/own-loop-accelerate", RunDescription("digits", "mlp", batch_size=32, targets=(0.85,)))
    accelerator.print(f"{s.steps} steps, {s.syncs} syncs: fdabench report results/own-loop-accelerate")
    accelerator.end_training()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
