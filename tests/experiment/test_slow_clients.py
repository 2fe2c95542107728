"""Slow clients with participation: the speed of a client is the same in every round and row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.schedule import LocalSteps
from fdabench.engine.clients import ClientDraw, Clients
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, train_loop
from fdabench.engine.workers import Workers
from fdabench.experiment.build import build_cell, build_training
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.results.folder import TABLES
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import load_dataset, stop_and_resume, tables_of
from support.suites import ADAM, FEDAVG, digits_suite, linear_fda
from support.toy import equal_shares, sampler

TOPK = 'kind = "fedavg"\nlocal_steps = 3\ncodec = { kind = "topk", share = 0.05 }\nfeedback = 1.0'
SPEEDS = 'speeds = { values = "1 0.5 0.3" }'


def cell_of(tmp_path: Path, strategy: str, *lines: str) -> Cell:
    path = tmp_path / "suite.toml"
    workload = "\n".join(lines)
    text = digits_suite([strategy], steps=18, every_steps=6, workers=4, optimizer=ADAM, workload=workload)
    path.write_text(text, encoding="utf-8")
    (cell,) = read_suite(path).cells
    return cell


@pytest.mark.parametrize(
    ("strategy", "averaging"), [(linear_fda(0.3), "uniform"), (linear_fda(0.3), "steps"), (TOPK, "steps")]
)
def test_with_all_clients_in_each_round_the_result_is_that_of_slow_workers(
    strategy: str, averaging: str, tmp_path: Path
) -> None:
    lines = (SPEEDS, f'averaging = "{averaging}"')
    plain = cell_of(tmp_path, strategy, *lines)
    samples = cell_of(tmp_path, strategy, *lines, "participation = { clients = 4 }")
    assert plain.id != samples.id
    assert tables_of(samples) == tables_of(plain)


@pytest.mark.parametrize("client_state", ["kept", "fresh"])
def test_with_speed_1_the_result_is_that_without_speeds(client_state: str, tmp_path: Path) -> None:
    output = f'participation = {{ clients = 9, client_state = "{client_state}" }}'
    plain, fast = cell_of(tmp_path, FEDAVG, output), cell_of(tmp_path, FEDAVG, output, 'speeds = { values = "1" }')
    assert tables_of(fast) == tables_of(plain)


def test_the_steps_of_a_client_follow_its_own_speed_over_all_its_rounds(tmp_path: Path) -> None:
    """Adam's state counts the steps that its client has made; a round of FedAvg has three ticks."""
    fedavg = 'kind = "fedavg"\nlocal_steps = 3'
    cell = ResolvedCell(cell_of(tmp_path, fedavg, SPEEDS, "participation = { clients = 9 }").config)
    setting = build_cell(cell, load_dataset(cell.config))
    clients = setting.clients
    assert clients is not None
    workers = Workers(build_training(cell, setting, SequentialGradients), [setting.group])
    loop = CellLoop(setting.strategy, setting.channel, cell.budget_steps, lambda event: True, clients=clients)
    train_loop(workers, [loop])
    expected = dict.fromkeys(range(9), 0)
    speed_N = np.tile([10, 5, 3], 3)  # in tenths
    for index in range(6):
        for client in clients.draw.participants(index).tolist():
            made = (3 * index + 3) * speed_N[client] // 10 - 3 * index * speed_N[client] // 10
            expected[client] += int(made)
    states = {client: state.optimizer_state for client, state in clients.absent.items()}
    states |= zip(clients.present(6), workers.state_dict(0, {}).optimizer_states, strict=True)
    made_by_client = {client: int(state["step"]) if state else 0 for client, state in states.items()}
    assert made_by_client == {client: expected[client] for client in made_by_client}
    assert sum(made_by_client.values()) == sum(expected.values()) > 0
    assert len(set(made_by_client.values())) > 2


def test_drifts_are_normalized_by_the_steps_of_the_clients_of_the_round() -> None:
    """FedNova with the M drawn clients: tau_eff / tau_k, where tau_eff is the mean of the tau_k."""
    steps = LocalSteps((1.0, 0.5, 0.25, 1.0, 0.5, 0.25))
    clients = Clients(
        ClientDraw(6, 3, seed=2), lambda client, _: sampler(client, 6), lambda k: k, True, None, local_steps=steps
    )
    channel = Channel(InProcessCollective(equal_shares(3)), Ledger(), normalization=clients)
    for index in range(4):
        clients.index = index
        channel.ledger.step = 8 * index + 8
        tau_K = torch.tensor([8 * steps.speeds[client] for client in clients.draw.participants(index)])
        u_KD = torch.arange(1.0, 7.0).reshape(3, 2)
        expected_KD = u_KD * (tau_K.mean() / tau_K)[:, None]
        assert torch.allclose(channel.normalize(u_KD, 8 * index), expected_KD)


@pytest.mark.parametrize("client_state", ["kept", "fresh"])
def test_a_cell_resumes_at_every_step_to_the_same_bits(client_state: str, tmp_path: Path) -> None:
    output = f'participation = {{ clients = 9, client_state = "{client_state}" }}'
    cell = cell_of(tmp_path, TOPK, output, SPEEDS, 'averaging = "steps"')
    (*stopped, last), whole, resumed = stop_and_resume(cell, tmp_path, (1, 4, 5))
    assert [(record.state, record.remarks) for record in stopped] == [("interrupted", [])] * 3
    assert (last.state, last.resumed_at_step) == ("done", 10)
    assert set(resumed) == set(TABLES)
    for name, table in resumed.items():
        pd.testing.assert_frame_equal(table, whole[name], check_exact=True)
