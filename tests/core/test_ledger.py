from collections import Counter

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdabench.accounting.costs import CONVENTIONS, EvalPoint, Message, bytes_at, total_bytes
from fdabench.core.ledger import Ledger, LedgerEntry

KINDS = ("initial", "model", "state", "statistics", "optimizer")
Fact = tuple[int, str, int]
"""Step, kind, numbers in the message."""

gaps = st.integers(0, 3) | st.just(5)
facts = st.lists(st.tuples(gaps, st.sampled_from(KINDS), st.sampled_from((1, 3))), max_size=40)


def at_steps(gapped: list[Fact]) -> list[Fact]:
    """Add up the first numbers of the facts, which are the distances of their steps."""
    step, actual = 0, []
    for gap, kind, size in gapped:
        step += gap
        actual.append((step, kind, size))
    return actual


def recorded(actual: list[Fact], dtype: torch.dtype = torch.float32) -> list[LedgerEntry]:
    ledger = Ledger()
    for step, kind, size in actual:
        ledger.step = step
        ledger.record(kind, torch.zeros(size, dtype=dtype))
    return ledger.entries


def expanded(entries: list[LedgerEntry]) -> list[Fact]:
    """Expand entries by the documentation of the columns: evenly spaced from the first step to the last."""
    actual = []
    for entry in entries:
        stride = (entry.last_step - entry.first_step) // max(1, entry.count - 1)
        steps = [entry.first_step + i * stride for i in range(entry.count)]
        assert steps[-1] == entry.last_step
        actual += [(step, entry.kind, entry.elements) for step in steps]
    return actual


@given(facts)
def test_entries_expand_to_exactly_what_was_recorded(gapped: list[Fact]) -> None:
    actual = at_steps(gapped)
    assert Counter(expanded(recorded(actual))) == Counter(actual)


@given(st.sets(st.integers(1, 200), min_size=1))
def test_any_set_of_steps_is_restored_from_entries(steps: set[int]) -> None:
    entries = recorded([(step, "model", 2) for step in sorted(steps)])
    assert sorted(step for step, _, _ in expanded(entries)) == sorted(steps)


def test_a_constant_period_is_one_entry_despite_other_entries_between() -> None:
    actual = [fact for t in range(1, 101) for fact in ([(t, "state", 2)] + [(t, "model", 5)] * (t % 10 == 0))]
    assert recorded(actual) == [
        LedgerEntry("state", 1, 100, 100, 2, "float32", 8, "all_reduce", 8, 0),
        LedgerEntry("model", 10, 100, 10, 5, "float32", 20, "all_reduce", 20, 0),
    ]


def test_a_change_of_the_period_starts_a_new_entry() -> None:
    actual = recorded([(step, "model", 1) for step in (2, 4, 6, 7, 8, 20)])
    assert [(entry.first_step, entry.last_step, entry.count) for entry in actual] == [(2, 6, 3), (7, 8, 2), (20, 20, 1)]


def test_two_collectives_in_a_step_are_counted_twice() -> None:
    entries = recorded([(3, "optimizer", 4), (3, "optimizer", 4)])
    assert entries == [LedgerEntry("optimizer", 3, 3, 1, 4, "float32", 16, "all_reduce", 16, 0)] * 2


def test_different_messages_are_never_merged() -> None:
    ledger = Ledger()
    for step, message in enumerate((torch.zeros(3), torch.zeros(4), torch.zeros(4).double(), torch.zeros(2).double())):
        ledger.step = step + 1
        ledger.record("state", message)
    assert [(entry.elements, entry.dtype, entry.payload_bytes) for entry in ledger.entries] == [
        (3, "float32", 12),
        (4, "float32", 16),
        (4, "float64", 32),
        (2, "float64", 16),
    ]


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(gapped=facts.filter(bool), workers=st.integers(1, 6), step=st.integers(0, 60))
def test_bytes_at_a_step_are_those_of_a_plain_list(
    convention: str, gapped: list[Fact], workers: int, step: int
) -> None:
    """States of the step itself are in, its sync and what follows it are not."""
    actual = at_steps(gapped)
    ledger, cost = pd.DataFrame(recorded(actual)), CONVENTIONS[convention]

    def price(kinds: tuple[str, ...], limit: float) -> int:
        return sum(
            cost[kind](Message(4 * size, 4 * size), workers) for t, kind, size in actual if kind in kinds and t <= limit
        )

    spent = bytes_at(ledger, EvalPoint(step), workers, convention)
    assert spent.model == price(("initial",), step) + price(("model", "statistics"), step - 1)
    assert spent.state == price(("state",), step)
    assert spent.optimizer == price(("optimizer",), step - 1)
    assert total_bytes(ledger, workers, convention).total == price(KINDS, float("inf"))
