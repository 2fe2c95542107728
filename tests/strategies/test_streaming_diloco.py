"""Streaming DiLoCo: fragments, the delay of a mean, and merging (Douillard et al., 2025)."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.codecs.int8 import Int8
from fdabench.core.codec import Codec
from fdabench.core.schedule import FragmentSchedule, fragment_slices
from fdabench.core.strategy import SyncRule
from fdabench.corrections.prox import Prox
from fdabench.engine.loop import StepEvent
from fdabench.errors import SuiteError
from fdabench.servers.average import Average
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.diloco import DiLoCo
from fdabench.strategies.streaming_diloco import StreamingDiLoCo
from fdabench.suite.reader import read_suite
from support.suites import digits_suite
from support.toy import PARAMETERS, STEPS, WORKERS, train


@pytest.mark.parametrize("period", [Fraction(5), Fraction(5, 2)])
@pytest.mark.parametrize(("codec", "feedback"), [(None, None), (Int8(), None), (Int8(), 0.9)])
def test_one_fragment_without_delay_is_diloco(period: Fraction, codec: Codec | None, feedback: float | None) -> None:
    streaming = train(StreamingDiLoCo(period, 1, codec=codec, feedback=feedback))
    whole = train(DiLoCo(period, codec=codec, feedback=feedback))
    assert torch.equal(streaming.w_KD, whole.w_KD)
    assert streaming[1:] == whole[1:]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("fragments", [2, 3, 5, 6])
@pytest.mark.parametrize("period", [6, 10, Fraction(15, 2)])
def test_whole_periods_cost_what_diloco_costs(period: Fraction, fragments: int, convention: str) -> None:
    fragmented, whole = (
        total_bytes(train(strategy).ledger, WORKERS, convention)
        for strategy in (StreamingDiLoCo(period, fragments), DiLoCo(period))
    )
    assert fragmented == whole


@pytest.mark.parametrize("fragments", [2, 3])
def test_the_largest_message_is_smaller_by_the_number_of_fragments(fragments: int) -> None:
    entries = train(StreamingDiLoCo(Fraction(6), fragments)).entries
    assert max(entry.elements for entry in entries if entry.kind == "model") == -(-PARAMETERS // fragments)


def test_each_fragment_has_its_own_momentum() -> None:
    """The global model of each fragment is what its own drifts make of it by the server, from sync to sync."""
    server, drifts, models = Momentum(lr=0.7, momentum=0.9), ([], []), ([], [])  # type: ignore[var-annotated]
    parts = fragment_slices(PARAMETERS, 2)
    first_D: list[Tensor] = []

    def see(event: StepEvent) -> None:
        if event.step == 1:
            first_D.append(event.round.anchor_D)
        if event.outcome.synced:
            which = (event.outcome.round.index - 1) % 2
            part = parts[which]
            drifts[which].append(event.context.w_KD[:, part].mean(0) - event.round.anchor_D[part])
            models[which].append(event.outcome.round.anchor_D[part])

    train(StreamingDiLoCo(Fraction(6), 2, server=server), on_step=see)
    for part, u, w in zip(parts, drifts, models, strict=True):
        expected_D, v_D = first_D[0][part], torch.zeros(part.stop - part.start)
        assert len(u) == 5
        for u_D, w_D in zip(u, w, strict=True):
            v_D = 0.9 * v_D + u_D
            expected_D = expected_D + 0.7 * v_D
            torch.testing.assert_close(w_D, expected_D, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("delay", "merge"), [(0, 0.0), (2, 0.0), (2, 0.5), (4, 0.25)])
def test_a_mean_arrives_after_the_delay_and_is_merged(delay: int, merge: float) -> None:
    """The mean of step t replaces the models of step t + delay, whose own progress counts by `merge`."""
    means: dict[int, Tensor] = {}

    def see(event: StepEvent) -> None:
        w_KD = event.context.w_KD
        means[event.step] = w_KD.mean(0)
        assert event.outcome.synced == (event.step > delay and (event.step - delay) % 5 == 0)
        if event.outcome.synced:
            expected_KD = merge * w_KD + (1 - merge) * means[event.step - delay]
            torch.testing.assert_close(event.outcome.w_KD, expected_KD, rtol=1e-5, atol=1e-6)

    ran = train(StreamingDiLoCo(Fraction(5), 1, delay, merge, server=Average()), on_step=see)
    sent = [step for step in range(5, STEPS + 1, 5) if step + delay <= STEPS]
    assert ran.syncs == [step + delay for step in sent]
    (models,) = [entry for entry in ran.entries if entry.kind == "model"]
    assert (models.first_step, models.last_step, models.count) == (sent[0], sent[-1], len(sent))
    assert models.slack == delay


def test_a_packed_message_has_its_slack_in_the_ledger() -> None:
    entries = train(StreamingDiLoCo(Fraction(8), 2, delay=3, codec=Int8())).entries
    assert {(entry.kind, entry.slack) for entry in entries} == {("initial", 0), ("model", 3)}


def test_with_the_plain_average_the_first_fragments_are_those_of_fedavg() -> None:
    """Nobody has replaced anything before the first sync, so the first fragment's mean is the mean of the models."""
    visited: list[Tensor] = []

    def see(event: StepEvent) -> None:
        if event.outcome.synced:
            visited.append(event.outcome.w_KD)

    train(StreamingDiLoCo(Fraction(8), 2, server=Average()), on_step=see)
    part = fragment_slices(PARAMETERS, 2)[0]
    streaming_KD = visited.pop(0)
    visited.clear()
    train(FedAvg(Fraction(4)), on_step=see)
    assert torch.equal(streaming_KD[:, part], visited[0][:, part])
    assert not torch.equal(streaming_KD, visited[0])


@pytest.mark.parametrize("period", [Fraction(100), Fraction(375, 2)])
@pytest.mark.parametrize("fragments", [1, 3, 37])
def test_each_fragment_is_due_once_in_every_period(period: Fraction, fragments: int) -> None:
    """Also if the period is no multiple of the fragments: no cycle gets longer."""
    schedule, steps = FragmentSchedule(period, fragments), 1500
    dues = [(t, schedule.due(t)) for t in range(-3, steps) if schedule.due(t) is not None]
    assert [fragment for _, fragment in dues] == [index % fragments for index in range(len(dues))]
    assert len(dues) == schedule.count(steps) == int(steps * fragments / period)
    before = dict.fromkeys(range(fragments), 0)
    for t, fragment in dues:
        assert fragment is not None
        assert schedule.start(t) == before[fragment]
        before[fragment] = t + 1


@pytest.mark.parametrize("size", [1, 2, 163, 1000])
@pytest.mark.parametrize("fragments", [1, 2, 7])
def test_fragments_cover_a_row_in_order_and_evenly(size: int, fragments: int) -> None:
    parts = fragment_slices(size, fragments)
    assert [i for part in parts for i in range(size)[part]] == list(range(size))
    lengths = {part.stop - part.start for part in parts}
    assert max(lengths) - min(lengths) <= 1


def test_a_delay_up_to_the_next_fragment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^delay: 3 local steps, .* after every 3\.5; at most 2 are allowed"):
        StreamingDiLoCo(Fraction(7), 2, delay=3)


def test_more_fragments_than_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^fragments: 6 is too many for a period of 5 local steps"):
        StreamingDiLoCo(Fraction(5), 6)


def test_a_correction_with_fragments_is_refused() -> None:
    with pytest.raises(ValueError, match="correction: it needs syncs of the whole model"):
        SyncRule(Average(), correction=Prox(), fragments=2)


@pytest.mark.parametrize(
    ("period", "optimizer", "message"),
    [
        ("local_steps = 10", ', momentum = 0.9, state_on_sync = "reset"', '"reset" replaces the whole optimizer state'),
        ("local_epochs = 0.01", "", "fragments: 4 is too many for a period of"),
    ],
)
def test_a_suite_that_could_not_run_is_refused(period: str, optimizer: str, message: str, tmp_path: Path) -> None:
    table = f'kind = "streaming-diloco"\n{period}\nfragments = 4'
    path = tmp_path / "tiny.toml"
    local = f'{{ kind = "sgd", lr = 0.1{optimizer} }}'
    path.write_text(digits_suite([table], steps=20, every_steps=5, optimizer=local), encoding="utf-8")
    with pytest.raises(SuiteError, match=f'strategy "streaming-diloco": .*{message}'):
        read_suite(path)
