"""The state of a user's strategy is stored as numbers and JSON, and is read to the last bit."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.strategy import Round, RoundInfo, StepContext, StepResult, SyncRule
from fdabench.core.sync import synchronize
from fdabench.experiment.checkpoint.encoding import StateCodec
from fdabench.experiment.checkpoint.serialize import NotSerializableError, from_plain, records_for, to_plain
from fdabench.experiment.run_cell import CellCallbacks, run_cells_batched
from fdabench.results.folder import ResultsFolder
from fdabench.strategies import STRATEGIES
from fdabench.strategies.fedavg import FedAvg
from fdabench.suite.cell import Cell
from support.checkpoints.runs import STEPS, assert_resumes, execution_context, run_cells, stops_after

Cells = Callable[..., list[Cell]]


class Pair(NamedTuple):
    count: int
    mean_D: Tensor


@dataclass(frozen=True)
class Memory:
    """The state of a server with values of every serializable type; it can be constructed from its parts only once."""

    pair: Pair | None
    history: list[float]
    counts: dict[tuple[int, str], Any]
    period: Fraction
    table: np.ndarray
    norms: list[float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "norms", [float(len(self.history))])


@dataclass(frozen=True)
class Remembering:
    """Adds its whole state to the model, so a wrong bit in the state is a wrong bit in the model."""

    is_plain_average = False
    reference = "nobody"

    def init(self, w_D: Tensor) -> Memory:
        return Memory(None, [], {}, Fraction(1, 3), np.zeros((2, 3), np.float16))

    def update(self, w_D: Tensor, u_D: Tensor, state: Memory, info: RoundInfo) -> tuple[Tensor, Memory]:
        pair = Pair(1, u_D) if state.pair is None else Pair(state.pair.count + 1, 0.9 * state.pair.mean_D + 0.1 * u_D)
        norm = float(u_D.norm()) + sum(state.norms) * 1e-3 + float(state.table.sum())
        memory = Memory(
            pair,
            [*state.history, norm],
            {**state.counts, (pair.count, "norm"): np.float32(norm)},
            state.period + Fraction(1, 7),
            state.table + np.float16(0.1),
        )
        pull = 1 + 1e-3 * sum(memory.history) + float(memory.period) * 1e-3 + sum(map(float, memory.counts.values()))
        return w_D + pair.mean_D * pull, memory


@dataclass(frozen=True, eq=False)
class OwnRound(Round):
    """A round with additional fields."""

    longest: int = 0


@dataclass(frozen=True)
class Mine(FedAvg):
    """A user's strategy with its own class of rounds."""

    def init(self, w_D: Tensor) -> Round:
        return OwnRound(w_D, w_D, Remembering().init(w_D), server_owns_model=True, longest=2)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        assert isinstance(r, OwnRound)
        if (ctx.t + 1) % r.longest:
            return StepResult(ctx.w_KD, r, False)
        done = synchronize(ctx, r, SyncRule(Remembering()), channel)  # type: ignore[arg-type]
        names = ("anchor_D", "previous_anchor_D", "server", "index", "server_owns_model")
        parts = {name: getattr(done.round, name) for name in names}
        return done._replace(round=OwnRound(**parts, longest=1 + r.longest % 4))


def expected_result(cells: Cells, strategy: type, monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.setitem(STRATEGIES, "fedavg", strategy)  # type: ignore[arg-type]
    monkeypatch.setattr("fdabench.experiment.run_cell.code_hashes", lambda config, registry: {})
    return next(cell for cell in cells() if cell.config.strategy.kind == "fedavg")


def test_a_strategy_with_its_own_round_and_state_is_resumed(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_resumes([expected_result(cells, Mine, monkeypatch)], tmp_path, "sequential", [1] * (STEPS - 1))


@dataclass(frozen=True)
class Unstorable(FedAvg):
    """A strategy whose round contains a function."""

    def init(self, w_D: Tensor) -> Round:
        return replace(super().init(w_D), server=lambda: w_D)


def test_a_state_that_cannot_be_stored_leaves_the_cell_without_checkpoints(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs; it says so; stopped, it restarts."""
    cell, store, warned = expected_result(cells, Unstorable, monkeypatch), ResultsFolder(tmp_path), []
    watcher = CellCallbacks(should_stop=stops_after(9), on_warning=lambda *pair: warned.append(pair))
    (record,) = run_cells_batched([cell], store, execution_context(every_s=0.0), watcher)
    assert (record.state, record.steps) == ("interrupted", 9)
    assert record.remarks == [text for _, text in warned]
    ((cell_id, text),) = warned
    assert cell_id == cell.id
    assert text == "no checkpoints: its state has a builtins.function in it; if it is stopped, it restarts"
    assert [path.name for path in store.cell_dir(cell.id).iterdir()] == ["cell.json"]
    (record,) = run_cells([cell], store, execution_context(every_s=0.0))
    assert (record.state, record.resumed_at_step, record.steps) == ("done", 0, STEPS)


NOTHING_OWN = records_for([])


@pytest.mark.parametrize(
    "value",
    [
        lambda: 0,
        object(),
        {1, 2},
        np.array([object()]),
        np.zeros(1, [("a", int)]),
        nn.Linear(1, 1),
        torch.zeros(2, 2).to_sparse(),
        Pair(1, torch.zeros(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_serialized_form_is_refused(value: Any) -> None:
    with pytest.raises(NotSerializableError):
        to_plain([value], NOTHING_OWN)


@pytest.mark.parametrize(
    "change",
    [
        {"record": "nowhere:Pair"},
        {"record": f"{__name__}:Small"},
        {"record": f"{__name__}:Path", "fields": {}},
        {"record": f"{__name__}:run_cells", "fields": {}},
        {"record": f"{__name__}:Round"},
        {"record": "os:system"},
        {"record": "subprocess:Popen", "fields": {}},
        {"record": "fdabench.experiment.run_cell:ExecutionContext"},
        {"record": 7},
        {"fields": [1, 2]},
        {"fields": {"seen": 1}},
    ],
    ids=str,
)
def test_only_classes_of_the_code_of_the_cell_are_instantiated(change: Any) -> None:
    own = records_for([Mine])
    packed = to_plain(Pair(1, torch.zeros(2)), own)
    assert from_plain(packed, own).count == 1
    for records, tree in ((own, {**packed.tree, **change}), (NOTHING_OWN, packed.tree)):
        with pytest.raises(NotSerializableError):
            from_plain(packed._replace(tree=tree), records)


def coded(value: Any) -> Any:
    codec = StateCodec(records_for([Mine]), torch.device("cpu"))
    return codec.decode(codec.encode(value))


def test_tensors_are_read_with_their_memory_layout() -> None:
    """Sums over a matrix that lies column by column are rounded in another order than row by row."""
    matrix = torch.arange(6.0).reshape(2, 3).T
    image = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    actual = coded([matrix, image, matrix[:1], torch.zeros(3, 0), torch.tensor(1.5), torch.zeros(5).expand(4, 5)])
    assert torch.equal(actual[0], matrix)
    assert actual[0].stride() == matrix.stride()
    assert actual[1].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(actual[2], matrix[:1])
    assert [tuple(item.shape) for item in actual[3:]] == [(3, 0), (), (4, 5)]


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.bfloat16, torch.float64, torch.complex64], ids=str)
def test_numbers_of_every_kind_are_read_to_the_last_bit(dtype: torch.dtype) -> None:
    x = (torch.randn(7, generator=torch.Generator().manual_seed(0)) * 10).to(dtype)
    assert torch.equal(coded(x), x)


def test_tensors_that_share_memory_share_it_after_reading() -> None:
    one, other = coded([torch.randn(5)] * 2)
    assert one.data_ptr() == other.data_ptr()


def test_a_part_of_a_tensor_is_stored_as_a_part() -> None:
    big = torch.arange(1000.0)
    codec = StateCodec(NOTHING_OWN, torch.device("cpu"))
    assert len(codec.encode(big[10:20])) < 400
    assert torch.equal(coded(big[10:20]), big[10:20])
    (stored,) = to_plain([big], NOTHING_OWN).tensors
    assert stored.data_ptr() == big.data_ptr(), "the whole of one is not copied"


def test_plain_values_are_equal_after_reading() -> None:
    value = [None, True, -0.0, float("inf"), 2**200, "\x00\ud800\n", {"a": 1, 2: (3,)}, Fraction(1, 3), np.float32(0.1)]
    assert repr(coded(value)) == repr(value)
    assert math.isnan(coded(float("nan")))
