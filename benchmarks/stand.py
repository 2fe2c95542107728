"""Processes of one thread that time cases on demand: one keeps freed memory as fdabench does, one is left as it is."""

import multiprocessing as mp
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

import torch
from cases import Case, Timing, loop_of, noise

from fdabench.engine.allocator import disable_malloc_trim


def timings(cases: Sequence[Case], repeats: int, seconds: float) -> Mapping[Case, list[Timing]]:
    """Each case timed `repeats` times for about `seconds`, in turns, one at a time."""
    actual = defaultdict(list)
    with _Stand(_nothing) as plain, _Stand(disable_malloc_trim) as stored:
        stands = {case: plain if case.what == "floor" else stored for case in cases}
        for case, stand in stands.items():
            stand.time(case, seconds / 4)
        for _ in range(repeats):
            for case, stand in stands.items():
                actual[case].append(stand.time(case, seconds))
    return actual


class _Stand:
    def __init__(self, prepare: Any) -> None:
        self._prepare = prepare

    def __enter__(self) -> "_Stand":
        context = mp.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._prepare), daemon=True)
        self._process.start()
        return self

    def time(self, case: Case, seconds: float) -> Timing:
        self._connection.send((case, seconds))
        timing: Timing = self._connection.recv()
        return timing

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()


def _nothing() -> None:
    """Memory stays as the C library has it."""


def _serve(connection: Connection, prepare: Any) -> None:
    torch.set_num_threads(1)
    prepare()
    data, loop = cache(noise), cache(lambda case: loop_of(case, data(case.model)))
    while True:
        case, seconds = connection.recv()
        connection.send(loop(case)(seconds))
