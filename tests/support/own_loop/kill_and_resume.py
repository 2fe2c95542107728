"""Rank 1 of two kills itself between two steps; both ranks go on from the states that they saved.

Run as a program with the variables RANK, FOLDER and MODE, which is `killed` or `resumed`.
"""

import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from fdabench import sync
from fdabench.errors import ProcessLostError
from support.own_loop.loop_tasks import LoopEnd, end_of, small_model, train_step

STEPS, KILLED_AFTER = 12, 7
"""Rounds have three steps, so the rank is killed within one."""


def train(saved: Mapping[str, Any] | None, state_file: Path | None, kills: bool = False) -> LoopEnd:
    """Train to `STEPS`, from the beginning or from a saved state, and save a state after each step."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    s = sync(model, optimizer, "fedadam", local_steps=3)
    if saved is not None:
        s.load_state_dict(saved["sync"])
        optimizer.load_state_dict(saved["optimizer"])
    with s:
        for draw in range(s.steps, STEPS):
            if kills and draw == KILLED_AFTER:
                os.kill(os.getpid(), signal.SIGKILL)
            train_step(model, optimizer, draw)
            if state_file is not None:
                torch.save({"sync": s.state_dict(), "optimizer": optimizer.state_dict()}, state_file)
    return end_of(model, s)


def main() -> None:
    rank, folder, mode = int(os.environ["RANK"]), Path(os.environ["FOLDER"]), os.environ["MODE"]
    rendezvous, state_file = folder / f"rendezvous-{mode}", folder / f"state-{rank}.pt"
    dist.init_process_group("gloo", rendezvous.as_uri(), rank=rank, world_size=2, timeout=timedelta(seconds=20))
    if mode == "killed":
        try:
            train(None, state_file, kills=rank == 1)
        except ProcessLostError as error:
            print(error)
        return
    saved = torch.load(state_file, weights_only=True)
    resumed, straight = train(saved, None), train(None, None)
    assert resumed[1:] == straight[1:]
    torch.save({"resumed": resumed.w_D, "straight": straight.w_D}, folder / f"end-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
