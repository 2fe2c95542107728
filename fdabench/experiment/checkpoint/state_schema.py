"""Checks the types, shapes and bounds of all values in a checkpoint before a cell resumes from it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import isfinite
from typing import NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from fdabench.accounting.costs import CONVENTIONS
from fdabench.core.codec import LinearCodec
from fdabench.core.ledger import ALL_REDUCE, LedgerEntry, Operation
from fdabench.core.strategy import HasSyncRule, Round
from fdabench.engine.clients import ClientState
from fdabench.engine.flatten import flatten, parameters, running_stats
from fdabench.engine.loop import TrainingState
from fdabench.engine.workers import WorkerGroupState
from fdabench.experiment.checkpoint.encoding import kinds_of
from fdabench.experiment.checkpoint.state import CheckpointState
from fdabench.experiment.checkpoint.validators import (
    StateError,
    UncheckedTable,
    instance,
    integer,
    list_of,
    matrix,
    require,
    state_error,
    table,
)
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models.base import ModelSpec, Shape
from fdabench.optimizers.base import LocalOptimizer
from fdabench.results.schema import EVALS, OPTIONAL_COLUMNS, ROUNDS, TRACE


class Sizes(NamedTuple):
    """The sizes that the state of a cell must have."""

    cell_id: str
    workers: int
    parameters: int
    statistics: int
    dtype: torch.dtype
    budget: int
    samples: int
    """Samples of the training set."""
    draws: str
    """The setting `sampling` of the workload."""
    built_in: bool
    """Whether all components that have a state are built in; for plug-ins the shapes of states are not known."""
    first_round: Round | None
    """The first round of the cell, on the meta device; None unless `built_in`."""
    first_codec_state: tuple[Tensor, ...]
    """The first state of a linear codec; empty without one."""
    worker_state: tuple[str, ...]
    """The names of the rows that the strategy keeps for each worker."""
    first_memory: Mapping[str, object]
    """The state of the local optimizer for one row, after a step."""
    clients: int
    """The number of clients that take turns; 0 if the same workers train in all rounds."""
    keeps_clients: bool
    """Whether the state of the local optimizer and of the sampler stays with a client."""
    keeps_statistics: bool
    """Whether running statistics stay with a client as well."""


def sizes_of(cell_id: str, cell: ResolvedCell) -> Sizes:
    """Return the sizes that follow from the configuration of a cell.

    Raises:
        Exception: any error that a component raises when it is built; the cell raises it again when it is run.
    """
    config, source = cell.config, cell.dataset
    row_D, row_B = _rows_of(cell.model, source.shape, source.classes)
    built_in = all(kind.__module__.startswith("fdabench.") for kind in kinds_of(config, cell.registry))
    return Sizes(
        cell_id,
        config.workers,
        row_D.numel(),
        row_B.numel(),
        row_D.dtype,
        cell.budget_steps,
        source.train_samples,
        config.sampling,
        built_in,
        cell.strategy.init(row_D) if built_in else None,
        _codec_state_of(cell),
        cell.strategy.rule.worker_state if isinstance(cell.strategy, HasSyncRule) else (),
        _memory_of(cell.optimizer, row_D.dtype) if built_in else {},
        0 if config.participation is None else config.participation.clients,
        config.participation is not None and config.participation.client_state == "kept",
        config.batchnorm_stats == "local" and row_B.numel() > 0,
    )


def _codec_state_of(cell: ResolvedCell) -> tuple[Tensor, ...]:
    codec = cell.strategy.rule.codec if isinstance(cell.strategy, HasSyncRule) else None
    state: tuple[Tensor, ...] = ()
    if isinstance(codec, LinearCodec):
        state = codec.init(cell.layout, torch.tensor(0))
    return state


def _memory_of(local: LocalOptimizer, dtype: torch.dtype) -> Mapping[str, object]:
    """The state of the optimizer for a row of two numbers."""
    row = nn.Parameter(torch.zeros(2, dtype=dtype))
    row.grad = torch.zeros_like(row)
    optimizer = local.build([row])
    optimizer.step()
    return dict(optimizer.state[row])


@cache
def _rows_of(architecture: ModelSpec, shape: Shape, classes: int) -> tuple[Tensor, Tensor]:
    """A worker's parameters and running statistics on the meta device, which takes no memory."""
    with torch.device("meta"):
        model = architecture.build(shape, classes)
        return flatten(parameters(model)), flatten(list(running_stats(model).values()))


def check(snapshot: object, sizes: Sizes) -> None:
    """Check that a state belongs to a cell with these sizes.

    Raises:
        StateError: it does not; the message names the first part that differs, and its value.
    """
    state = instance("the state", snapshot, CheckpointState)
    training = instance("training", state.training, TrainingState)
    workers = instance("training.workers", training.workers, WorkerGroupState)
    integer("training.step", training.step, 0, sizes.budget)
    matrix("training.workers.w_KD", workers.w_KD, (sizes.workers, sizes.parameters), sizes.dtype)
    matrix("training.workers.b_KB", workers.b_KB, (sizes.workers, sizes.statistics), sizes.dtype)
    _worker_state(workers.worker_state, sizes)
    _optimizer_states(workers.optimizer_states, sizes)
    _sampler_states(workers.sampler_states, sizes)
    _clients(training.clients, sizes)
    _round(training.round, training.step, sizes)
    _entries(state.ledger, training.step)
    _fields("recorder", state.recorder, NOTES, training.step, sizes)


def _worker_state(value: object, sizes: Sizes) -> None:
    path = "training.workers.worker_state"
    for name, x_KD in table(path, value, sizes.worker_state).items():
        matrix(f"{path}.{name}", x_KD, (sizes.workers, sizes.parameters), sizes.dtype)


def _optimizer_states(value: object, sizes: Sizes) -> None:
    for worker, memory in enumerate(list_of("training.workers.optimizer_states", value, sizes.workers)):
        _optimizer_state(f"training.workers.optimizer_states[{worker}]", memory, sizes)


def _optimizer_state(path: str, memory: object, sizes: Sizes) -> None:
    # the state of an optimizer is empty after a sync that resets it
    if not table(path, memory) or not sizes.built_in:
        return
    stored = table(path, memory, sizes.first_memory)
    for name, first in sizes.first_memory.items():
        if isinstance(first, Tensor):
            shape = (sizes.parameters,) if first.dim() else ()
            matrix(f"{path}.{name}", stored[name], shape, first.dtype)
        else:
            require(type(stored[name]) is type(first), f"{path}.{name}", stored[name], type(first).__name__)


def _sampler_states(value: object, sizes: Sizes) -> None:
    for worker, position in enumerate(list_of("training.workers.sampler_states", value, sizes.workers)):
        _sampler_state(f"training.workers.sampler_states[{worker}]", position, sizes)


def _sampler_state(path: str, position: object, sizes: Sizes) -> None:
    names = {"rng"} if sizes.draws == "replacement" else {"rest", "rng"}
    if not isinstance(position, dict) or position.keys() != names:
        raise state_error(path, position, f"{sorted(names)}")
    if "rest" in names:
        rest = position["rest"]
        true = isinstance(rest, np.ndarray) and rest.dtype == np.int64 and rest.ndim == 1
        true = true and (not rest.size or (rest.min() >= 0 and rest.max() < sizes.samples))
        require(true, f"{path}.rest", rest, f"an array of places in {sizes.samples} samples")
    try:
        np.random.PCG64(0).state = position["rng"]
    except Exception as error:
        raise StateError(f"{path}.rng is no state of a generator: {error!s:.80}") from error


def _clients(value: object, sizes: Sizes) -> None:
    for client, stored in table("training.clients", value).items():
        path = f"training.clients[{client!r:.20}]"
        require(type(client) is int and 0 <= client < sizes.clients, path, client, f"a client below {sizes.clients}")
        state = instance(path, stored, ClientState)
        rows = table(f"{path}.worker_state", state.worker_state, sizes.worker_state)
        for name, x_D in rows.items():
            matrix(f"{path}.worker_state.{name}", x_D, (sizes.parameters,), sizes.dtype)
        parts = (state.optimizer_state, state.sampler_state)
        require((parts[0] is not None) == sizes.keeps_clients, f"{path}.optimizer_state", parts[0], "as client_state")
        require((parts[1] is not None) == sizes.keeps_clients, f"{path}.sampler_state", parts[1], "as client_state")
        if sizes.keeps_clients:
            _optimizer_state(f"{path}.optimizer_state", state.optimizer_state, sizes)
            _sampler_state(f"{path}.sampler_state", state.sampler_state, sizes)
        if sizes.keeps_clients and sizes.keeps_statistics:
            matrix(f"{path}.b_B", state.b_B, (sizes.statistics,), sizes.dtype)
        else:
            require(state.b_B is None, f"{path}.b_B", state.b_B, "nothing")


def _round(stored: object, step: int, sizes: Sizes) -> None:
    value = instance("training.round", stored, Round)
    row = (sizes.parameters,)
    matrix("training.round.anchor_D", value.anchor_D, row, sizes.dtype)
    matrix("training.round.previous_anchor_D", value.previous_anchor_D, row, sizes.dtype)
    integer("training.round.index", value.index, 0, step)
    require(
        type(value.server_owns_model) is bool,
        "training.round.server_owns_model",
        value.server_owns_model,
        "true or false",
    )
    integer("training.round.start", value.start, 0, step)
    require(type(value.codec) is tuple, "training.round.codec", value.codec, "a tuple")
    if value.codec or value.index:
        _like("training.round.codec", value.codec, sizes.first_codec_state)
    if sizes.first_round is not None:
        for name in ("server", "correction", "trigger"):
            _like(f"training.round.{name}", getattr(value, name), getattr(sizes.first_round, name))


def _like(path: str, value: object, first: object) -> None:
    """Compare types and shapes with those of the first state, which do not change during training."""
    if isinstance(first, Tensor):
        matrix(path, value, tuple(first.shape), first.dtype)
        return
    require(type(value) is type(first), path, value, f"of the type {type(first).__name__}")
    if isinstance(first, tuple) and isinstance(value, tuple):
        require(len(value) == len(first), path, value, f"{len(first)} of them")
        for place, (element, first_element) in enumerate(zip(value, first, strict=True)):
            _like(f"{path}[{place}]", element, first_element)


def _entries(value: object, step: int) -> None:
    for place, stored in enumerate(list_of("ledger", value)):
        path = f"ledger[{place}]"
        entry = instance(path, stored, LedgerEntry)
        require(entry.kind in CONVENTIONS["paper"], f"{path}.kind", entry.kind, "a kind of message that has a cost")
        integer(f"{path}.first_step", entry.first_step, 0, step)
        integer(f"{path}.last_step", entry.last_step, entry.first_step, step)
        integer(f"{path}.count", entry.count, 1, entry.last_step - entry.first_step + 1)
        integer(f"{path}.elements", entry.elements, 0)
        dtype = getattr(torch, entry.dtype, None) if isinstance(entry.dtype, str) else None
        require(isinstance(dtype, torch.dtype), f"{path}.dtype", entry.dtype, "a dtype of torch")
        payload = entry.elements * dtype.itemsize if isinstance(dtype, torch.dtype) else 0
        integer(f"{path}.payload_bytes", entry.payload_bytes, payload, payload)
        require(entry.operation in get_args(Operation), f"{path}.operation", entry.operation, "an operation")
        reduced = entry.operation == ALL_REDUCE
        integer(f"{path}.down_bytes", entry.down_bytes, payload if reduced else 0, payload if reduced else None)
        integer(f"{path}.slack", entry.slack, 0)


Rule = Callable[[str, object, int, Sizes], None]


def _fields(path: str, value: object, rules: Mapping[str, Rule], step: int, sizes: Sizes) -> None:
    fields = table(path, value, rules)
    for name, rule in rules.items():
        rule(f"{path}.{name}", fields[name], step, sizes)


def _clock(path: str, value: object, step: int, sizes: Sizes) -> None:
    require(type(value) is float and isfinite(value) and value >= 0, path, value, "seconds, at least 0")


def _steps(path: str, value: object, step: int, sizes: Sizes) -> None:
    integer(path, value, 0, step)


def _trained(path: str, value: object, step: int, sizes: Sizes) -> None:
    matrix(path, value, (sizes.workers, 2), torch.float64)


def _rows(path: str, value: object, step: int, sizes: Sizes) -> None:
    try:
        stored = json.loads(instance(path, value, str, "text"))
    except (ValueError, RecursionError) as error:
        raise StateError(f"{path} is not JSON: {error!s:.80}") from error
    tables = table(path, stored, ROWS, f"the tables {', '.join(ROWS)}")
    for name, columns in ROWS.items():
        before = 0
        for place, stored_row in enumerate(list_of(f"{path}.{name}", tables[name])):
            at = f"{path}.{name}[{place}]"
            row = instance(at, stored_row, dict, "a row")
            optional = {key: kind for key, kind in OPTIONAL_ROWS.get(name, {}).items() if key in row}
            _row(at, row, {**columns, **optional}, sizes)
            before = integer(f"{at}.step", row["step"], before + 1, step)


def _row(path: str, row: UncheckedTable, columns: Mapping[str, str], sizes: Sizes) -> None:
    require(row.keys() == columns.keys(), path, list(row), f"the columns {', '.join(columns)}")
    for name, kind in columns.items():
        require(type(row[name]) in _PYTHON_OF[kind], f"{path}.{name}", row[name], f"of the type {kind}")
    require(row.get("cell_id", sizes.cell_id) == sizes.cell_id, f"{path}.cell_id", row.get("cell_id"), sizes.cell_id)


_PYTHON_OF: Mapping[str, Sequence[type]] = {"string": (str,), "int64": (int,), "double": (float, int), "bool": (bool,)}
ROWS: Mapping[str, Mapping[str, str]] = {
    name: {field.name: str(field.type) for field in schema}
    for name, schema in (("evals", EVALS), ("rounds", ROUNDS), ("trace", TRACE))
}
OPTIONAL_ROWS: Mapping[str, Mapping[str, str]] = {
    name: {field.name: str(field.type) for field in schema} for name, schema in OPTIONAL_COLUMNS.items()
}
NOTES: Mapping[str, Rule] = {
    "rows": _rows,
    "trained": _trained,
    "counted": _steps,
    "last_sync": _steps,
    "wall_s": _clock,
}
"""Rules for the state of the recorder, by field."""
