"""Slow workers: their steps, the same bits with equal speeds, FedNova's fixed points, resumed cells, refused values."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdabench.accounting.costs import total_bytes
from fdabench.codecs.topk import TopK
from fdabench.core.channel import Channel, HasDriftFactors
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.schedule import LocalSteps, lognormal_speeds, parse_speeds, uniform_speeds
from fdabench.core.strategy import StepContext
from fdabench.engine.clients import ClientDraw, Clients
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.gradients.vectorized import VectorizedGradients
from fdabench.engine.workers import GradientFnFactory, TrainingConfig, WorkerGroup, Workers
from fdabench.errors import SuiteError
from fdabench.optimizers.adam import Adam
from fdabench.optimizers.sgd import SGD
from fdabench.results.folder import TABLES
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import stop_and_resume, tables_of, train_cell
from support.suites import FEDAVG, SYNCHRONOUS, digits_suite, linear_fda
from support.toy import BATCH, LabeledData, data, equal_shares, model, sampler, train

TOPK = 'kind = "fedavg"\nlocal_steps = 3\ncodec = { kind = "topk", share = 0.05 }\nfeedback = 1.0'
SPEEDS = (1.0, 0.5, 0.3, 0.25)
TICKS = 12


def cells_of(tmp_path: Path, *strategies: str, workload: str = "", optimizer: str | None = None) -> list[Cell]:
    path = tmp_path / "suite.toml"
    changes = {} if optimizer is None else {"optimizer": optimizer}
    text = digits_suite(strategies, steps=TICKS, every_steps=6, workers=4, workload=workload, **changes)
    path.write_text(text, encoding="utf-8")
    return list(read_suite(path).cells)


@given(speeds=st.lists(st.integers(1, 10**6).map(lambda parts: parts / 10**6), min_size=1, max_size=5))
def test_after_n_ticks_a_worker_has_made_floor_n_s_steps(speeds: list[float]) -> None:
    steps, made = LocalSteps(tuple(speeds)), np.zeros(len(speeds), dtype=int)
    for tick in range(40):
        made += [worker not in steps.idle(tick) for worker in range(len(speeds))]
        assert made.tolist() == [int((tick + 1) * Fraction(repr(speed))) for speed in speeds]
        assert np.array_equal(steps.completed(tick + 1), made)


@pytest.mark.parametrize("engine", [SequentialGradients, VectorizedGradients])
@pytest.mark.parametrize("local", [SGD(lr=0.2, momentum=0.9), Adam(lr=0.02)])
def test_a_slow_worker_is_a_worker_that_makes_fewer_steps(engine: GradientFnFactory, local: SGD | Adam) -> None:
    """Without syncs it holds, after n ticks, the model of a worker of speed 1 after floor(n s) steps, bit for bit."""
    x, y = data()
    training = TrainingConfig(model(), local, LabeledData(x, y), engine)

    def after(ticks: int, speeds: tuple[float, ...] | None) -> Workers:
        slow = None if speeds is None else LocalSteps(speeds)
        workers = Workers(training, [WorkerGroup(model(), [sampler(k, 4) for k in range(4)], range(4), slow)])
        for _ in range(ticks):
            workers.step()
        return workers

    slow = after(TICKS, SPEEDS)
    for worker, made in enumerate(LocalSteps(SPEEDS).completed(TICKS)):
        fast = after(int(made), None)
        assert torch.equal(slow.weights()[worker], fast.weights()[worker])
        states = [item.state_dict(0, {}).sampler_states[worker] for item in (slow, fast)]
        assert states[0]["rng"] == states[1]["rng"]
        assert np.array_equal(states[0]["rest"], states[1]["rest"])


def test_workers_that_share_a_matrix_keep_their_speeds() -> None:
    x, y = data()
    training = TrainingConfig(model(), SGD(lr=0.2), LabeledData(x, y), SequentialGradients)

    def group(slow: LocalSteps | None) -> WorkerGroup:
        return WorkerGroup(model(), [sampler(k, 2) for k in range(2)], range(2), slow)

    slow = LocalSteps((0.5, 1.0))
    both, alone = Workers(training, [group(None), group(slow)]), Workers(training, [group(slow)])
    for tick in range(6):
        if tick == 3:
            both.retain_groups([1])
        both.step()
        alone.step()
    assert torch.equal(both.weights(), alone.weights())


@pytest.mark.parametrize("strategy", [FEDAVG, SYNCHRONOUS, linear_fda(0.3), TOPK])
def test_with_equal_speeds_the_result_is_that_without_speeds(strategy: str, tmp_path: Path) -> None:
    (plain,) = cells_of(tmp_path, strategy)
    (fast,) = cells_of(tmp_path, strategy, workload='speeds = { values = "1" }')
    assert plain.id != fast.id
    assert tables_of(fast) == tables_of(plain)


def test_normalized_averaging_of_equal_workers_changes_no_drift() -> None:
    channel = Channel(InProcessCollective(equal_shares(3)), Ledger(step=8), normalization=LocalSteps((0.5, 0.5, 0.5)))
    u_KD = torch.arange(6.0).reshape(3, 2)
    assert channel.normalize(u_KD, 0) is u_KD
    fast, plain = (train(FedAvg(Fraction(3)), slow=slow) for slow in (LocalSteps((1.0,) * 8), None))
    assert torch.equal(fast.w_KD, plain.w_KD)


A_K1 = torch.tensor([[1.0], [10.0]], dtype=torch.float64)
B_K1 = torch.tensor([[-1.0], [3.0]], dtype=torch.float64)
PERIOD = 8


def fixed_point(
    lr: float, speeds: tuple[float, float], normalization: HasDriftFactors | None, strategy: FedAvg
) -> float:
    """The fixed point of FedAvg with slow workers, on f_k = a_k (w - b_k)^2 / 2."""
    slow = LocalSteps(speeds)
    collective = InProcessCollective(equal_shares(2, torch.float64))
    channel = Channel(collective, Ledger(), normalization=normalization)
    w_KD = torch.zeros(2, 1, dtype=torch.float64)
    r = strategy.init(w_KD[0].clone())
    for t in range(int(60 / lr)):
        channel.ledger.step = t + 1
        g_KD = A_K1 * (w_KD - B_K1)
        g_KD[slow.idle(t)] = 0
        w_KD = w_KD - lr * g_KD
        outcome = strategy.step(StepContext(t, w_KD, g_KD, torch.zeros(2), 10**6, lambda t: lr, {}, ()), r, channel)
        w_KD, r = outcome.w_KD.clone() if outcome.synced else w_KD, outcome.round
    return float(r.anchor_D)


@pytest.mark.parametrize("strategy", [FedAvg(Fraction(PERIOD)), FedAvg(Fraction(PERIOD), Momentum(momentum=0.5))])
@pytest.mark.parametrize("speeds", [(1.0, 0.25), (0.5, 1.0)])
def test_uniform_averaging_ends_at_the_optimum_of_another_objective_and_normalized_averaging_does_not(
    strategy: FedAvg, speeds: tuple[float, float]
) -> None:
    """Wang et al. (2020): tau_k steps of SGD shrink the distance to b_k by rho_k = (1 - lr a_k)^tau_k.

    A round therefore stands still at sum v_k b_k / sum v_k, where v_k = 1 - rho_k, divided by tau_k if normalized. For
    a small lr this is the optimum of sum tau_k f_k, and if normalized that of sum f_k.
    """
    tau_K1 = torch.tensor([[PERIOD * speed] for speed in speeds], dtype=torch.float64)

    def expected(lr: float, normalized: bool) -> float:
        v_K1 = (1 - (1 - lr * A_K1) ** tau_K1) / (tau_K1 if normalized else 1)
        return float((v_K1 * B_K1).sum() / v_K1.sum())

    slow = LocalSteps(speeds)
    clients = Clients(ClientDraw(2, 2, 0), lambda k, _: sampler(k, 2), lambda k: k, True, None, local_steps=slow)
    for lr in (0.05, 0.02):
        # two workers, or two clients that both train in each round
        for normalization in (None, slow, clients):
            actual = fixed_point(lr, speeds, normalization, strategy)
            assert actual == pytest.approx(expected(lr, normalization is not None), abs=1e-8)
    optimum = float((A_K1 * B_K1).sum() / A_K1.sum())
    other = float((tau_K1 * A_K1 * B_K1).sum() / (tau_K1 * A_K1).sum())
    assert expected(1e-7, False) == pytest.approx(other, abs=1e-4)
    assert expected(1e-7, True) == pytest.approx(optimum, abs=1e-4)
    assert abs(other - optimum) > 0.1


def test_a_worker_without_a_step_in_a_round_is_left_out_of_the_normalized_mean() -> None:
    steps = LocalSteps((1.0, 0.5, 0.25))
    # ticks 4 and 5: two steps, one step, none; tau_eff = 3 / 2, and 3 of 2 workers' weights
    assert steps.drift_factors(4, 6).tolist() == [1.5 * 1.5 / 2, 1.5 * 1.5 / 1, 0.0]
    assert LocalSteps((0.5, 0.5)).drift_factors(0, 1) is None


def test_error_feedback_keeps_what_a_codec_leaves_out_of_the_normalized_drift() -> None:
    """With a codec that keeps everything the result is that without a codec."""
    slow = LocalSteps((1.0, 0.5, 0.25, 1.0))
    plain = train(FedAvg(Fraction(5)), workers=4, slow=slow)
    whole = train(FedAvg(Fraction(5), codec=TopK(share=1.0), feedback=1.0), workers=4, slow=slow)
    assert torch.allclose(whole.w_KD, plain.w_KD, atol=1e-6)


@pytest.mark.parametrize("strategy", [FEDAVG, linear_fda(0.3), TOPK])
@pytest.mark.parametrize("averaging", ["uniform", "steps"])
def test_a_cell_resumes_at_every_step_to_the_same_bits(strategy: str, averaging: str, tmp_path: Path) -> None:
    (cell,) = cells_of(tmp_path, strategy, workload=f'speeds = {{ values = "1 0.5 0.3" }}\naveraging = "{averaging}"')
    (*stopped, last), whole, resumed = stop_and_resume(cell, tmp_path, (1, 2, 5))
    assert [(record.state, record.remarks) for record in stopped] == [("interrupted", [])] * 3
    assert (last.state, last.resumed_at_step) == ("done", 8)
    assert set(resumed) == set(TABLES)
    for name, table in resumed.items():
        pd.testing.assert_frame_equal(table, whole[name], check_exact=True)


def test_slow_workers_send_as_often_as_fast_ones(tmp_path: Path) -> None:
    """A tick lasts as long as a step of a worker of speed 1, so the ledger, and the time from it, is that of ticks."""
    (plain,) = cells_of(tmp_path, FEDAVG)
    (slow,) = cells_of(tmp_path, FEDAVG, workload='speeds = { lowest = 0.2 }\naveraging = "steps"')
    ledgers = [tables_of(cell)["ledger"] for cell in (plain, slow)]
    assert ledgers[0] == ledgers[1]
    assert total_bytes(pd.DataFrame(ledgers[1]), 4, "paper").total > 0


def test_drawn_speeds_depend_on_the_seed_and_the_worker_only() -> None:
    assert uniform_speeds(9, 0.25, 3)[:4] == uniform_speeds(4, 0.25, 3)
    assert uniform_speeds(4, 0.25, 3) != uniform_speeds(4, 0.25, 4)
    samples = np.array(uniform_speeds(4000, 0.2, 0))
    assert samples.min() >= 0.2
    assert samples.mean() == pytest.approx(0.6, abs=5 * 0.8 / (12 * 4000) ** 0.5)
    skewed = np.array(lognormal_speeds(4000, 0.6, 0))
    assert skewed.max() == 1
    assert np.log(skewed).std() == pytest.approx(0.6, abs=5 * 0.6 / (2 * 4000) ** 0.5)
    assert parse_speeds("1, 0.5  0.25") == (1.0, 0.5, 0.25)


DDP = 'kind = "ddp"'
SCAFFOLD = 'kind = "scaffold"\nlocal_steps = 3\ncorrection = { kind = "scaffold", of = "gradient" }'
FEDDYN = 'kind = "feddyn"\nlocal_steps = 3'
STREAMING = 'kind = "streaming-diloco"\nlocal_steps = 4\nfragments = 2'
SLOW, STEPS_TOO = 'speeds = { values = "1 0.5" }', 'speeds = { values = "1 0.5" }\naveraging = "steps"'
AVERAGE = '{ kind = "adam", lr = 1e-3, state_on_sync = "average" }'


@pytest.mark.parametrize(
    ("strategy", "workload", "optimizer", "message"),
    [
        (
            FEDAVG,
            'speeds = { values = "1 fast" }',
            None,
            "'fast' is no speed; a speed is a number above 0 and at most 1",
        ),
        (FEDAVG, 'speeds = { values = "1 2" }', None, "'2' is no speed"),
        (FEDAVG, 'speeds = { values = " " }', None, "no speed is given"),
        (FEDAVG, "speeds = { lowest = 0 }", None, "lowest"),
        (FEDAVG, "speeds = { lowest = 0.5, sigma = 0.6 }", None, "lowest and sigma are given"),
        (FEDAVG, "speeds = {}", None, "none is given"),
        (FEDAVG, 'averaging = "steps"', None, 'averaging = "steps" needs speeds'),
        (FEDAVG, SLOW, AVERAGE, 'optimizer.state_on_sync = "average" needs a state of every worker'),
        (DDP, SLOW, None, "a slow worker has none in most of them; remove speeds"),
        (SCAFFOLD, SLOW, None, "its control variates are means over the steps of a round"),
        (FEDDYN, STEPS_TOO, '{ kind = "sgd", lr = 0.1 }', "its multipliers add up the drifts as they are"),
        (STREAMING, STEPS_TOO, None, 'averaging = "steps" scales the drifts of whole rounds'),
    ],
)
def test_invalid_speeds_are_refused(
    strategy: str, workload: str, optimizer: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SuiteError) as refused:
        cells_of(tmp_path, strategy, workload=workload, optimizer=optimizer)
    assert message in str(refused.value)


def test_a_cell_with_slow_workers_reaches_an_accuracy(tmp_path: Path) -> None:
    """Also with FedDyn without normalized averaging, which is not refused."""
    for strategy in ('kind = "fedavg"\nlocal_steps = 4', FEDDYN):
        (cell,) = cells_of(tmp_path, strategy, workload=SLOW, optimizer='{ kind = "sgd", lr = 0.1 }')
        assert train_cell(cell.config).tables["evals"][-1]["test_accuracy"] > 0.5


def test_the_ticks_of_one_step_use_the_same_batch() -> None:
    """Its samples in two ticks of one step are the same, and so are those of the step itself."""
    visited: list[list[int]] = []

    class Spy:
        def __init__(self) -> None:
            self.inner = sampler(0, 1)

        def next_batch(self) -> np.ndarray:
            batch = self.inner.next_batch()
            visited.append(batch.tolist())
            return batch

        def state_dict(self) -> dict[str, object]:
            return self.inner.state_dict()

        def load_state_dict(self, position: dict[str, object]) -> None:
            self.inner.load_state_dict(position)

    x, y = data()
    training = TrainingConfig(model(), SGD(lr=0.1), LabeledData(x, y), SequentialGradients)
    workers = Workers(training, [WorkerGroup(model(), [Spy()], [0], LocalSteps((0.5,)))])
    for _ in range(4):
        workers.step()
    assert visited[0] == visited[1] != visited[2] == visited[3]
    assert len(visited[0]) == BATCH
