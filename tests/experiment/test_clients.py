"""Client participation: the same bits where all clients train, their draws, and the state of each client."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch

from fdabench.accounting.costs import total_bytes
from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import Round, RoundInfo, StepContext
from fdabench.corrections.scaffold import CONTROL, GRADIENT_SUM, Scaffold
from fdabench.engine.clients import AvailabilityLaw, ClientDraw, Clients, WorkerRow
from fdabench.engine.sampling import IndependentBatchSampler
from fdabench.errors import SuiteError
from fdabench.results.folder import TABLES
from fdabench.servers.dyn import DynServer
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import stop_and_resume, tables_of, train_cell
from support.suites import ADAM, FEDAVG, digits_suite, linear_fda

SCAFFOLD = 'kind = "scaffold"\nlocal_steps = 3'
TOPK = 'kind = "fedavg"\nlocal_steps = 3\ncodec = { kind = "topk", share = 0.05 }\nfeedback = 1.0'
SGD = '{ kind = "sgd", lr = 0.05 }'


def cells_of(
    tmp_path: Path, *strategies: str, participation: str = "", workers: int = 4, **changes: object
) -> list[Cell]:
    path = tmp_path / "suite.toml"
    line = f"participation = {participation}" if participation else ""
    text = digits_suite(strategies, steps=24, every_steps=6, workers=workers, workload=line, **changes)  # type: ignore[arg-type]
    path.write_text(text, encoding="utf-8")
    return list(read_suite(path).cells)


@pytest.mark.parametrize("strategy", [FEDAVG, linear_fda(0.3), SCAFFOLD, TOPK])
@pytest.mark.parametrize("workload", [ADAM, SGD])
def test_with_all_clients_in_each_round_the_result_is_that_of_workers(
    strategy: str, workload: str, tmp_path: Path
) -> None:
    optimizer = SGD if "scaffold" in strategy else workload
    (plain,) = cells_of(tmp_path, strategy, optimizer=optimizer)
    (samples,) = cells_of(tmp_path, strategy, optimizer=optimizer, participation="{ clients = 4 }")
    assert plain.id != samples.id
    assert tables_of(samples) == tables_of(plain)


@pytest.mark.parametrize("client_state", ["kept", "fresh"])
@pytest.mark.parametrize("strategy", [FEDAVG, linear_fda(0.3), SCAFFOLD, TOPK])
def test_a_cell_resumes_at_every_step_to_the_same_bits(strategy: str, client_state: str, tmp_path: Path) -> None:
    optimizer = SGD if "scaffold" in strategy else ADAM
    output = f'{{ clients = 9, client_state = "{client_state}" }}'
    (cell,) = cells_of(tmp_path, strategy, optimizer=optimizer, participation=output)
    (*stopped, last), whole, resumed = stop_and_resume(cell, tmp_path, (1, 4, 7, 5))
    assert [(record.state, record.remarks) for record in stopped] == [("interrupted", [])] * 4
    assert (last.state, last.resumed_at_step) == ("done", 17)
    assert set(resumed) == set(TABLES)
    for name, table in resumed.items():
        pd.testing.assert_frame_equal(table, whole[name], check_exact=True)


def test_clients_with_and_without_a_momentum_buffer_train_together(tmp_path: Path) -> None:
    """torch's fused SGD takes no rows with and without a momentum buffer at the same time."""
    momentum = '{ kind = "sgd", lr = 0.05, momentum = 0.9 }'
    (cell,) = cells_of(tmp_path, FEDAVG, optimizer=momentum, participation="{ clients = 6 }")
    assert train_cell(cell.config).tables["evals"][-1]["test_accuracy"] > 0.3


def test_draws_depend_on_seed_and_round_only_and_are_uniform() -> None:
    draw = ClientDraw(clients=50, per_round=5, seed=1)
    rounds = [draw.participants(index) for index in range(2000)]
    assert all(len(set(item.tolist())) == 5 and sorted(item) == list(item) for item in rounds)
    assert np.array_equal(rounds[7], ClientDraw(50, 5, 1).participants(7))
    assert not np.array_equal(rounds[7], ClientDraw(50, 5, 2).participants(7))
    counts = np.bincount(np.concatenate(rounds), minlength=50)
    # each client is drawn with probability 1 / 10: mean 200, standard deviation 13.4
    assert counts.min() > 200 - 5 * 13.4
    assert counts.max() < 200 + 5 * 13.4


def test_clients_with_more_samples_are_drawn_more_often() -> None:
    draw = ClientDraw(3, 1, 0, np.array([1.0, 1.0, 2.0]))
    counts = Counter(int(draw.participants(index)[0]) for index in range(4000))
    assert counts[2] / 4000 == pytest.approx(0.5, abs=5 * 0.5 / 63)


def test_only_available_clients_are_drawn_and_each_is_available_for_its_share() -> None:
    law = AvailabilityLaw.draw(0.25, 8, clients=400, seed=3)
    draw = ClientDraw(400, 10, 0, np.arange(1.0, 401.0), law)
    visited = np.array([law.rounds_until(index) == 0 for index in range(24)])
    # the start of a period lies within a round, so that a share of 2 of 8 rounds is exactly 2 rounds
    assert (visited.sum(axis=0) == 6).all()
    assert np.array_equal(visited[:8], visited[8:16])
    for index in range(24):
        samples = draw.participants(index)
        assert len(set(samples.tolist())) == 10
        assert visited[index][samples].all()
        assert draw.available(index) == visited[index].sum()
    assert np.array_equal(AvailabilityLaw.draw(0.25, 8, 400, 3).phase_N, law.phase_N)
    assert not np.array_equal(AvailabilityLaw.draw(0.25, 8, 400, 4).phase_N, law.phase_N)


def test_where_too_few_are_available_the_server_waits_for_those_that_are_available_next() -> None:
    law = AvailabilityLaw(0.5, 4, np.array([0.0, 1.0, 2.0, 2.5, 3.5]))
    # in round 0 clients 0 and 1 are available, 4 is after half a round, 3 after one and a half, 2 after two
    assert law.rounds_until(0).tolist() == [0, 0, 2, 1.5, 0.5]
    draw = ClientDraw(5, 4, seed=0, availability=law)
    assert draw.available(0) == 2
    assert draw.participants(0).tolist() == [0, 1, 3, 4]


def test_with_clients_that_are_always_available_the_draw_is_uniform_and_a_shortage_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw = ClientDraw(30, 5, 1, availability=AvailabilityLaw.draw(1.0, 7, 30, 1))
    assert all(draw.available(index) == 30 for index in range(20))
    counts = np.bincount(np.concatenate([draw.participants(index) for index in range(1200)]), minlength=30)
    # each client is drawn with probability 1 / 6: mean 200, standard deviation 12.9
    assert abs(counts - 200).max() < 5 * 12.9
    (cell,) = cells_of(tmp_path, FEDAVG, participation="{ clients = 8, availability = { share = 0.5, period = 4 } }")
    with caplog.at_level("INFO", logger="fdabench.engine.clients"):
        train_cell(cell.config)
    assert any("the server waits for" in message for message in caplog.messages)


@pytest.mark.parametrize("of", ["drift", "gradient"])
def test_the_control_variate_of_scaffold_is_the_mean_over_all_clients(of: Literal["drift", "gradient"]) -> None:
    """Karimireddy et al. (2020): c moves by K / N times the mean change of the K clients of a round."""
    correction, draw, rng = Scaffold(of), ClientDraw(9, 3, seed=0), torch.Generator().manual_seed(0)
    collective = InProcessCollective(torch.full((3,), 1 / 3, dtype=torch.float64))
    channel = Channel(collective, Ledger(), client_share=3 / 9)
    c_ND = torch.zeros(9, 4, dtype=torch.float64)
    r = Round(torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64), (), correction=c_ND[0])
    for index in range(8):
        present = draw.participants(index)
        w_KD, sum_KD = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
        stored = {CONTROL: c_ND[present], GRADIENT_SUM: sum_KD}
        ctx = StepContext(4, w_KD, w_KD, torch.zeros(3), 10, lambda t: 0.1, stored, ())
        update = correction.end_round(ctx, r, channel)
        c_ND[present] = update.worker_state[CONTROL]
        r = replace(r, correction=update.state)
        assert torch.allclose(r.correction, c_ND.mean(dim=0), atol=1e-12)


def test_the_server_of_feddyn_sums_drifts_over_all_clients() -> None:
    w_D, u_D = torch.zeros(3), torch.arange(3.0)
    _, s_D = DynServer().update(w_D, u_D, torch.ones(3), RoundInfo(0, 1, lambda t: 0.1, 0.25))
    assert torch.equal(s_D, 1 + u_D / 4)


def test_bytes_are_those_of_the_participants(tmp_path: Path) -> None:
    """Participants upload, those of the next round download: as many messages as with fixed workers."""
    (plain,), (samples,) = cells_of(tmp_path, FEDAVG), cells_of(tmp_path, FEDAVG, participation="{ clients = 30 }")
    ledgers = [pd.DataFrame(train_cell(cell.config).tables["ledger"]) for cell in (plain, samples)]
    for convention in ("paper", "star", "upload"):
        assert total_bytes(ledgers[0], 4, convention) == total_bytes(ledgers[1], 4, convention)


class FakeRows:
    """Rows whose optimizer state counts the rounds that their clients have trained."""

    def __init__(self, rows: list[WorkerRow]) -> None:
        self.rows = rows

    def take_rows(self, group: int) -> list[WorkerRow]:
        used, self.rows = self.rows, []
        return [row._replace(optimizer_state={"rounds": row.optimizer_state.get("rounds", 0) + 1}) for row in used]

    def put_rows(self, group: int, rows: list[WorkerRow]) -> None:
        self.rows = rows


@pytest.mark.parametrize("keep", [True, False])
def test_the_state_of_waiting_clients_is_kept(keep: bool) -> None:
    """The optimizer counts the rounds of a client, and the method keeps the number of the client itself."""

    def sampler(client: int, index: int) -> IndependentBatchSampler:
        return IndependentBatchSampler(np.arange(5), 2, np.random.default_rng(client))

    clients = Clients(ClientDraw(12, 3, seed=0), sampler, lambda client: client, keep, None)
    rows = FakeRows([clients.first_row(int(client), 0) for client in clients.draw.participants(0)])
    stored = {"own": torch.zeros(3, 1)}
    trained: Counter[int] = Counter()
    for index in range(1, 30):
        present = clients.draw.participants(index - 1).tolist()
        # every method state so far belongs to the client that it was made for, or is zero
        assert all(
            value in (0, client + 1) for value, client in zip(stored["own"][:, 0].tolist(), present, strict=True)
        )
        assert [row.noise for row in rows.rows] == present
        assert [row.optimizer_state.get("rounds", 0) for row in rows.rows] == [
            trained[client] if keep else 0 for client in present
        ]
        trained.update(present)
        stored = {"own": torch.tensor([[client + 1.0] for client in present])}
        stored = clients.next_round(rows, 0, index, stored)
    waiting = set(trained) - set(clients.draw.participants(29).tolist())
    assert set(clients.absent) == waiting
    assert all((state.optimizer_state is not None) == keep for state in clients.absent.values())


def test_a_cell_with_participation_reaches_an_accuracy(tmp_path: Path) -> None:
    (cell,) = cells_of(tmp_path, 'kind = "fedavg"\nlocal_steps = 1', participation="{ clients = 40 }")
    evals = train_cell(cell.config).tables["evals"]
    assert evals[-1]["test_accuracy"] > 0.6


def test_drawing_participants_needs_no_memory_for_other_clients() -> None:
    tracemalloc.start()
    draw = ClientDraw(100_000, 50, 0)
    for index in range(200):
        draw.participants(index)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("participation", "more", "message"),
    [
        ("{ clients = 3 }", "", "3 clients, but workers = 4 of them train in each round"),
        ("{ clients = 5000 }", "", "5000 clients, but digits has 1438 training samples"),
        (
            "{ clients = 9, availability = { share = 0.4, period = 24 } }",
            "",
            "0.4 of 9 clients are available, and workers = 4",
        ),
        ("{ clients = 9, availability = { share = 0.5 } }", "", "period"),
        ("{ clients = 9 }", 'averaging = "samples"', 'participation.choose = "samples" draws clients'),
        ('{ clients = 9, choose = "size" }', "", '"size" is unknown; allowed: "uniform", "samples"'),
        ('{ clients = 9, chose = "uniform" }', "", 'did you mean "choose"?'),
    ],
)
def test_invalid_settings_of_participation_are_refused(
    participation: str, more: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "suite.toml"
    workload = f"participation = {participation}\n{more}"
    path.write_text(digits_suite([FEDAVG], steps=4, every_steps=2, workers=4, workload=workload), encoding="utf-8")
    with pytest.raises(SuiteError) as refused:
        read_suite(path)
    assert message in str(refused.value)


def test_participation_is_refused_with_a_convention_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    text = digits_suite([FEDAVG], steps=4, every_steps=2, workers=4, workload="participation = { clients = 9 }")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SuiteError, match="participation needs a server, which a ring does not have"):
        read_suite(path, ['accounting.convention="ring"'])


def test_a_sync_of_a_part_of_the_model_is_refused(tmp_path: Path) -> None:
    streaming = 'kind = "streaming-diloco"\nlocal_steps = 4\nfragments = 2'
    assert cells_of(tmp_path, streaming)
    with pytest.raises(SuiteError, match="clients that are drawn need the whole"):
        cells_of(tmp_path, streaming, participation="{ clients = 9 }")


def test_titles_state_the_number_of_clients(tmp_path: Path) -> None:
    (cell,) = cells_of(tmp_path, FEDAVG, participation="{ clients = 9 }")
    assert "K=4 of 9" in cell.title
