"""A cell that is stopped at any step resumes to the same bits, with all strategies, optimizers and engines."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.strategy import Round, RoundInfo, StepContext, StepResult, SyncRule
from fdabench.core.sync import synchronize
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.checkpoint.encoding import FORMAT_VERSION, StateCodec
from fdabench.experiment.checkpoint.serialize import NotSerializableError, from_plain, records_for, to_plain
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.models import MODELS
from fdabench.models.base import Flatten, ModelSpec
from fdabench.models.dropout import Dropout
from fdabench.monitors import MONITORS
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.strategies import STRATEGIES
from fdabench.strategies.fedavg import FedAvg
from fdabench.suite.cell import Cell
from support.cells import STATEFUL

Cells, STEPS = Callable[..., list[Cell]], 24
KINDS = ["Synchronous", "DDP", "FedAvg", "FedAdam", "FedAvgM", "NaiveFDA", "LinearFDA", "SketchFDA", "ExactFDA"]


def machine(engine: str = "sequential", every_s: float = 3600.0) -> ExecutionContext:
    digits = load_datasets(["digits"], Path("no-data"))["digits"]
    return ExecutionContext(ExecutionConfig(torch.device("cpu"), engine, checkpoint_s=every_s), lambda name: digits)


def stops_after(steps: int, cells: int = 1) -> Callable[[], bool]:
    """Request a stop after this many steps; it is called once in each step of each cell."""
    left = repeat(False, (steps - 1) * cells)
    return lambda: next(left, True)


def go(cells: list[Cell], store: ResultsFolder, on: ExecutionContext, steps: int = 10**9) -> list[CellRecord]:
    return run_cells_batched(cells, store, on, CellCallbacks(should_stop=stops_after(steps, len(cells))))


def tables(store: ResultsFolder, cell: Cell) -> dict[str, pd.DataFrame]:
    actual = {name: store.read_cell_table(cell.id, name).to_pandas() for name in TABLES}
    return {name: frame.drop(columns=[c for c in CLOCK_COLUMNS if c in frame]) for name, frame in actual.items()}


def assert_same(one: ResultsFolder, other: ResultsFolder, cells: list[Cell]) -> None:
    for cell in cells:
        expected, actual = tables(one, cell), tables(other, cell)
        for name in TABLES:
            pd.testing.assert_frame_equal(actual[name], expected[name], check_exact=True, obj=f"{cell.title} {name}")


def assert_resumes(cells: list[Cell], root: Path, engine: str, stops: list[int]) -> None:
    """Stop cells after each of these numbers of steps; the results equal those of uninterrupted cells."""
    whole, broken, on = ResultsFolder(root / "whole"), ResultsFolder(root / "broken"), machine(engine)
    assert {record.state for record in go(cells, whole, on)} == {"done"}
    made = 0
    for steps in stops:
        made += steps
        for record in go(cells, broken, on, steps):
            assert (record.state, record.steps, record.remarks) == ("interrupted", made, [])
            assert broken.checkpoint_path(record.id).exists()
    for record in go(cells, broken, on):
        assert (record.state, record.resumed_at_step, record.attempts) == ("done", made, len(stops) + 1)
        assert not broken.checkpoint_path(record.id).exists()
    assert_same(whole, broken, cells)


def all_kinds(cells: Cells) -> list[Cell]:
    """The tiny suite's, one that averages gradients, clips and has a schedule, and those of STATEFUL."""
    actual, warmup = cells(), {"kind": "constant", "warmup": 0.5, "warmup_steps": 0}
    local = actual[0].config.optimizer.to_table() | {"schedule": warmup, "clip": 0.5}
    ddp = actual[0].config.with_changes({"strategy": {"kind": "ddp"}, "optimizer": local})
    configs = {"DDP": ddp} | {key: actual[0].config.with_changes({"strategy": STATEFUL[key]}) for key in STATEFUL}
    return [*actual, *(replace(actual[0], config=config, label=label) for label, config in configs.items())]


def test_every_strategy_and_monitor_is_tested(cells: Cells) -> None:
    actual = [cell.config.strategy for cell in all_kinds(cells)]
    assert {STRATEGIES[strategy.kind].step for strategy in actual} == {cls.step for cls in STRATEGIES.values()}
    assert {monitor.kind for strategy in actual if (monitor := strategy.component("monitor"))} == set(MONITORS)
    assert {cell.label.split(" ")[0] for cell in all_kinds(cells)} == {*KINDS, *STATEFUL}


@pytest.mark.parametrize("kind", [*KINDS, *STATEFUL])
def test_a_cell_stopped_at_every_single_step_is_the_same_cell(cells: Cells, tmp_path: Path, kind: str) -> None:
    """So at every sync, at every evaluation, and between them."""
    (cell, *_) = [cell for cell in all_kinds(cells) if cell.label.split(" ")[0] == kind]
    assert_resumes([cell], tmp_path, "sequential", [1] * (STEPS - 1))


@pytest.mark.cuda
def test_cells_on_a_gpu_resume_to_the_same_bits(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side in one matrix, whose steps are CUDA graphs from the third one on."""
    cuda, digits = torch.device("cuda"), load_datasets(["digits"], Path("no-data"))["digits"]
    on_cuda = ExecutionContext(ExecutionConfig(cuda, "vectorized", checkpoint_s=3600.0), lambda _: digits.to(cuda))
    monkeypatch.setattr(f"{__name__}.machine", lambda engine: on_cuda)
    assert_resumes(all_kinds(cells), tmp_path, "vectorized", [1, 4, 9])


class Small(NamedTuple):
    """A model with every kind of state."""

    shape: tuple[int, ...] = (1, 8, 8)

    def __call__(self, shape: Any, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), Flatten(), Dropout(0.3), nn.Linear(144, classes)
        )


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with dropout and batch normalization, under the name of the multilayer perceptron."""
    monkeypatch.setitem(MODELS, "mlp", ModelSpec(Small(), None, ""))  # type: ignore[index]
    monkeypatch.setattr("fdabench.experiment.run_cell.code_hashes", lambda config, registry: {})


SGD = "workload.optimizer={kind = 'sgd', lr = 0.05, momentum = 0.9, nesterov = true, state_on_sync = 'average'}"
VARIANTS = {
    "adam": [],
    "adam reset": ["workload.optimizer.state_on_sync=reset"],
    "adam averaged": ["workload.optimizer.state_on_sync=average"],
    "momentum": [SGD],
    "plain sgd": ["workload.optimizer={kind = 'sgd', lr = 0.05}"],
    "adamw, replacement": ["workload.optimizer={kind = 'adamw', lr = 1e-3}", "workload.sampling=replacement"],
    "small batches": ["workload.last_batch=keep", "workload.batch_size=100"],
    "statistics averaged": ["workload.batchnorm_stats=averaged"],
}


@pytest.mark.parametrize("engine", ["sequential", "vectorized"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.usefixtures("forgetful")
def test_optimizers_samplers_statistics_and_masks_are_resumed(
    cells: Cells, tmp_path: Path, variant: str, engine: str
) -> None:
    """LinearFDA stays local for a while; its first stop is within a round, its second at a sync of FedAvg's."""
    actual = {cell.label.split(" ")[0]: cell for cell in cells(*VARIANTS[variant], "strategy.1.local_steps=5")}
    assert_resumes([actual["LinearFDA"]], tmp_path / "fda", engine, [3, 4])
    assert_resumes([actual["FedAvg"]], tmp_path / "fedavg", engine, [5, 5])


@pytest.mark.parametrize("engine", ["sequential", "vectorized"])
def test_cells_of_one_matrix_are_resumed_together_and_separately(cells: Cells, tmp_path: Path, engine: str) -> None:
    """Also beside one that has not begun and one that is done."""
    actual = cells()
    whole, broken, on = ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "broken"), machine(engine)
    for group in (actual[:4], [actual[4]], [actual[5]]):
        go(group, whole, on)
    assert_resumes(actual[:4], tmp_path / "group", engine, [5])
    assert_same(whole, ResultsFolder(tmp_path / "group" / "broken"), actual[:4])
    go([actual[4]], broken, on, 9)
    records = go([actual[5], actual[4]], broken, on)
    assert [(record.resumed_at_step, record.together) for record in records] == [(0, 1), (9, 1)]
    assert_same(whole, broken, actual[4:6])


def test_checkpoints_are_written_at_intervals_of_time_and_change_no_bit(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time between them, one after each step; the last one is what is left when the process goes at once."""
    monkeypatch.setattr("fdabench.experiment.checkpoint.file.MAX_TIME_SHARE", float("inf"))
    cell, whole, killed = cells()[4], ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "killed")
    go([cell], whole, machine())
    calls = 0

    def dies() -> bool:
        nonlocal calls
        calls += 1
        if calls == 11:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run_cells_batched([cell], killed, machine(every_s=0.0), CellCallbacks(should_stop=dies))
    record = killed.read_record(cell.id)
    assert record is not None
    assert (record.state, record.attempts) == ("interrupted", 1)
    (record,) = go([cell], killed, machine(every_s=0.0))
    assert (record.state, record.attempts, record.resumed_at_step) == ("done", 2, 10)
    assert_same(whole, killed, [cell])


def test_writing_takes_little_time(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the time between checkpoints is said to be."""
    written: list[float] = []
    clock = iter(range(0, 10**9, 1))
    monkeypatch.setattr("fdabench.experiment.checkpoint.file.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(
        "fdabench.experiment.checkpoint.file.atomic_write", lambda path, write: written.append(next(clock))
    )
    (record,) = go(cells("budget.steps=400", "eval.every_steps=400")[:1], ResultsFolder(tmp_path), machine(every_s=1.0))
    assert record.state == "done"
    assert len(written) == 2, "each took two ticks of a clock that is looked at once a step, so 200 go by"


def test_the_wall_time_of_a_cell_is_the_sum_over_its_attempts(cells: Cells, tmp_path: Path) -> None:
    cell, store = cells()[0], ResultsFolder(tmp_path)
    (first,) = go([cell], store, machine(), 12)
    (second,) = go([cell], store, machine())
    assert 0 < first.wall_s < second.wall_s
    clock = store.read_cell_table(cell.id, "evals").to_pandas()["wall_s"]
    assert clock.is_monotonic_increasing
    assert clock.iloc[0] < first.wall_s < clock.iloc[-1] <= second.wall_s


def test_a_cell_stopped_at_its_last_step_is_done(cells: Cells, tmp_path: Path) -> None:
    assert go(cells()[:1], ResultsFolder(tmp_path), machine(), STEPS)[0].state == "done"


@pytest.fixture
def stopped(cells: Cells, tmp_path: Path) -> tuple[Cell, ResultsFolder]:
    """A cell that was stopped after seven steps."""
    cell, store = cells()[4], ResultsFolder(tmp_path / "results")
    assert go([cell], store, machine(), 7)[0].steps == 7
    return cell, store


def begins_anew(stopped: tuple[Cell, ResultsFolder], remark: str, on: ExecutionContext | None = None) -> None:
    cell, store = stopped
    (record,) = go([cell], store, on or machine())
    assert (record.state, record.resumed_at_step) == ("done", 0)
    assert [text for text in record.remarks if remark in text], record.remarks


def test_a_checkpoint_of_other_code_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fdabench.experiment.run_cell.code_hashes", lambda config, registry: {"engine/loop.py": "0"})
    begins_anew(stopped, "of other code or another machine")


def test_a_checkpoint_of_another_torch_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", "1.0")
    begins_anew(stopped, "of other code or another machine")


def test_a_checkpoint_of_another_engine_is_not_used(stopped: tuple[Cell, ResultsFolder]) -> None:
    begins_anew(stopped, "of other code or another machine", machine("vectorized"))


def test_a_checkpoint_of_another_number_of_threads_is_not_used(
    stopped: tuple[Cell, ResultsFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    begins_anew(stopped, "of other code or another machine")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_checkpoint_is_not_used(stopped: tuple[Cell, ResultsFolder], share: float) -> None:
    cell, store = stopped
    path = store.checkpoint_path(cell.id)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    begins_anew(stopped, "cannot be used")


def test_a_checkpoint_with_one_wrong_bit_is_not_used(stopped: tuple[Cell, ResultsFolder]) -> None:
    """Among the weights, where torch would not notice."""
    cell, store = stopped
    path = store.checkpoint_path(cell.id)
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(whole)
    begins_anew(stopped, "is damaged")


def test_a_checkpoint_contains_no_code(stopped: tuple[Cell, ResultsFolder]) -> None:
    """JSON, and after it numbers and their SHA-256 only."""
    cell, store = stopped
    content = store.checkpoint_path(cell.id).read_bytes()
    assert content.startswith(FORMAT_VERSION)
    begins = len(FORMAT_VERSION) + 8
    header = json.loads(content[begins : begins + int.from_bytes(content[len(FORMAT_VERSION) : begins], "little")])
    (about,) = (value for name, value in header["tree"]["dict"] if name == "about")
    assert json.loads(about)["cell"] == cell.id
    numbers = sum(math.prod(item["shape"]) * getattr(torch, item["dtype"]).itemsize for item in header["tensors"])
    assert len(content) == begins + len(json.dumps(header)) + numbers + 32
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()


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
    (record,) = run_cells_batched([cell], store, machine(every_s=0.0), watcher)
    assert (record.state, record.steps) == ("interrupted", 9)
    assert record.remarks == [text for _, text in warned]
    ((cell_id, text),) = warned
    assert cell_id == cell.id
    assert text == "no checkpoints: its state has a builtins.function in it; if it is stopped, it restarts"
    assert [path.name for path in store.cell_dir(cell.id).iterdir()] == ["cell.json"]
    (record,) = go([cell], store, machine(every_s=0.0))
    assert (record.state, record.resumed_at_step, record.steps) == ("done", 0, STEPS)


def test_a_full_disk_for_a_checkpoint_is_a_warning_and_the_cell_continues(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fdabench.experiment.checkpoint.file.write", full)
    (record,) = go(cells()[:1], ResultsFolder(tmp_path), machine(every_s=0.0))
    assert record.state == "done"
    assert "no checkpoint: " in record.remarks[0]
    assert "No space left on device" in record.remarks[0]
    assert {path.suffix for path in ResultsFolder(tmp_path).cell_dir(record.id).iterdir()} == {".json", ".parquet"}


def test_the_record_has_the_step_at_which_the_cell_resumed(stopped: tuple[Cell, ResultsFolder]) -> None:
    cell, store = stopped
    before = json.loads((store.cell_dir(cell.id) / "cell.json").read_text())
    assert (before["state"], before["steps"], before["attempts"], before["resumed_at_step"]) == ("interrupted", 7, 1, 0)
    go([cell], store, machine())
    after = json.loads((store.cell_dir(cell.id) / "cell.json").read_text())
    assert (after["state"], after["steps"], after["attempts"], after["resumed_at_step"]) == ("done", STEPS, 2, 7)


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
        {"record": f"{__name__}:go", "fields": {}},
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


def test_partially_written_files_are_removed(stopped: tuple[Cell, ResultsFolder]) -> None:
    """By a process that was killed while it wrote: nobody reads it, and the next attempt removes it."""
    cell, store = stopped
    for name in (".cell.json.x1", ".checkpoint.pt.x2", ".evals.parquet.x3"):
        (store.cell_dir(cell.id) / name).write_bytes(b"half")
    assert go([cell], store, machine())[0].resumed_at_step == 7
    assert {path.suffix for path in store.cell_dir(cell.id).iterdir()} == {".json", ".parquet"}
