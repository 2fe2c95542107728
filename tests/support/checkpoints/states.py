"""States of a stopped cell in which one value is not of that cell."""

import json
from collections.abc import Callable
from typing import Any

import torch

from fdabench.core.ledger import LedgerEntry
from fdabench.experiment.checkpoint.state import CheckpointState

STOP = 7
"""The step after which the cell was stopped."""


def stand(**parts: Any) -> Callable[[CheckpointState], CheckpointState]:
    return lambda state: state._replace(training=state.training._replace(**parts))


def of(change: Callable[[Any], dict[str, Any]]) -> Callable[[CheckpointState], CheckpointState]:
    return lambda state: stand(workers=state.training.workers._replace(**change(state.training.workers)))(state)


def round_with(name: str, make: Callable[[Any], Any]) -> Callable[[CheckpointState], CheckpointState]:
    def change(state: CheckpointState) -> CheckpointState:
        object.__setattr__(state.training.round, name, make(getattr(state.training.round, name)))
        return state

    return change


def note(name: str, value: Any) -> Callable[[CheckpointState], CheckpointState]:
    return lambda state: state._replace(recorder={**state.recorder, name: value})


def without_note(name: str) -> Callable[[CheckpointState], CheckpointState]:
    return lambda state: state._replace(recorder={key: value for key, value in state.recorder.items() if key != name})


def rows(change: Callable[[Any], object]) -> Callable[[CheckpointState], CheckpointState]:
    def altered(state: CheckpointState) -> CheckpointState:
        actual = json.loads(state.recorder["rows"])
        change(actual)
        return note("rows", json.dumps(actual))(state)

    return altered


def entry(place: int, **parts: Any) -> Callable[[CheckpointState], CheckpointState]:
    def altered(state: CheckpointState) -> CheckpointState:
        whole = {name: getattr(state.ledger[place], name) for name in LedgerEntry.__dataclass_fields__}
        state.ledger[place] = LedgerEntry(**{**whole, **parts})
        return state

    return altered


NONE_OF_THESE: list[Any] = [None, "seven", 7.0, True, [], {}, float("nan"), torch.zeros(1)]
STATES: dict[str, Callable[[CheckpointState], Any]] = {
    **{f"state {value!r}": lambda state, value=value: value for value in NONE_OF_THESE},
    **{f"stand {value!r}": lambda state, value=value: state._replace(training=value) for value in NONE_OF_THESE},
    **{f"step {value!r}": stand(step=value) for value in (*NONE_OF_THESE, -1, 13, 10**30, 2)},
    **{f"round {value!r}": stand(round=value) for value in NONE_OF_THESE},
    **{f"workers {value!r}": stand(workers=value) for value in NONE_OF_THESE},
    **{f"anchor_D {value!r}": round_with("anchor_D", lambda x, value=value: value) for value in (None, 0, "x", [])},
    "anchor_D of another shape": round_with("anchor_D", lambda x: x[:-1]),
    "anchor_D of two axes": round_with("anchor_D", lambda x: x[None]),
    "anchor_D of other numbers": round_with("anchor_D", lambda x: x.double()),
    "previous_anchor_D of another shape": round_with("previous_anchor_D", lambda x: torch.zeros(0)),
    **{f"index {value!r}": round_with("index", lambda x, value=value: value) for value in (*NONE_OF_THESE[:4], -1, 8)},
    **{
        f"server_owns_model {value!r}": round_with("server_owns_model", lambda x, value=value: value)
        for value in (None, 1, "yes")
    },
    **{f"server {value!r}": round_with("server", lambda x, value=value: value) for value in (None, (), 1, "x", [])},
    "server of two": round_with("server", lambda x: x[:2]),
    "server's m of another shape": round_with("server", lambda x: (x[0][:3], *x[1:])),
    "server's m of other numbers": round_with("server", lambda x: (x[0].half(), *x[1:])),
    "server's n is text": round_with("server", lambda x: (*x[:2], "3")),
    "w_KD of a worker more": of(lambda c: {"w_KD": torch.cat([c.w_KD, c.w_KD[:1]])}),
    "w_KD of a worker less": of(lambda c: {"w_KD": c.w_KD[:1]}),
    "w_KD of another model": of(lambda c: {"w_KD": c.w_KD[:, 1:]}),
    "w_KD turned": of(lambda c: {"w_KD": c.w_KD.T}),
    "w_KD of whole numbers": of(lambda c: {"w_KD": c.w_KD.int()}),
    "w_KD missing": of(lambda c: {"w_KD": None}),
    "b_KB of another shape": of(lambda c: {"b_KB": torch.zeros(2, 1)}),
    "b_KB missing": of(lambda c: {"b_KB": None}),
    **{f"remembered {value!r}": of(lambda c, value=value: {"optimizer_states": value}) for value in NONE_OF_THESE},
    "remembered of one worker": of(lambda c: {"optimizer_states": c.optimizer_states[:1]}),
    "remembered of none": of(lambda c: {"optimizer_states": [None, None]}),
    "a moment missing": of(lambda c: {"optimizer_states": [c.optimizer_states[0], {"step": torch.tensor(7.0)}]}),
    "a moment of another shape": of(
        lambda c: {"optimizer_states": [{**m, "exp_avg": torch.zeros(3)} for m in c.optimizer_states]}
    ),
    "all moments are text": of(lambda c: {"optimizer_states": [dict.fromkeys(m, "x") for m in c.optimizer_states]}),
    "no second moment": of(
        lambda c: {"optimizer_states": [{"step": m["step"], "exp_avg": m["exp_avg"]} for m in c.optimizer_states]}
    ),
    "moments of other names": of(
        lambda c: {"optimizer_states": [{"momentum_buffer": m["exp_avg"]} for m in c.optimizer_states]}
    ),
    **{f"positions {value!r}": of(lambda c, value=value: {"sampler_states": value}) for value in NONE_OF_THESE},
    "positions of one worker": of(lambda c: {"sampler_states": c.sampler_states[:1]}),
    "no rest": of(lambda c: {"sampler_states": [{"rng": p["rng"]} for p in c.sampler_states]}),
    "rest below zero": of(lambda c: {"sampler_states": [{**p, "rest": p["rest"] - 10**6} for p in c.sampler_states]}),
    "rest beyond the data": of(
        lambda c: {"sampler_states": [{**p, "rest": p["rest"] + 10**6} for p in c.sampler_states]}
    ),
    "rest of reals": of(lambda c: {"sampler_states": [{**p, "rest": p["rest"] * 1.5} for p in c.sampler_states]}),
    "rest of two axes": of(lambda c: {"sampler_states": [{**p, "rest": p["rest"][None]} for p in c.sampler_states]}),
    "rest is a list": of(lambda c: {"sampler_states": [{**p, "rest": [1, 2]} for p in c.sampler_states]}),
    **{
        f"generator {value!r}": of(
            lambda c, value=value: {"sampler_states": [{**p, "rng": value} for p in c.sampler_states]}
        )
        for value in (None, {}, "PCG64", {"bit_generator": "MT19937"})
    },
    "ledger missing": lambda state: state._replace(ledger=None),
    "ledger of text": lambda state: state._replace(ledger=["initial"]),
    "ledger of None": lambda state: state._replace(ledger=[None]),
    **{f"kind {value!r}": entry(0, kind=value) for value in (None, "bribe", 3)},
    **{f"count {value!r}": entry(1, count=value) for value in (*NONE_OF_THESE[:4], 0, -2, 10**9)},
    **{f"first_step {value!r}": entry(1, first_step=value) for value in (None, -1, 1.0, 10**9)},
    **{f"last_step {value!r}": entry(1, last_step=value) for value in (None, -1, STOP + 1, "6")},
    **{f"elements {value!r}": entry(1, elements=value) for value in (None, -1, 1.5, 3)},
    **{f"dtype {value!r}": entry(1, dtype=value) for value in (None, "float99", "nn", 32)},
    **{f"payload_bytes {value!r}": entry(1, payload_bytes=value) for value in (None, -4, 1, 10**18)},
    **{
        f"wall_s {value!r}": note("wall_s", value) for value in (None, "1 s", -1.0, float("nan"), float("inf"), 3, True)
    },
    **{f"counted {value!r}": note("counted", value) for value in (None, "x", -1, 8, 1.0)},
    **{f"last_sync {value!r}": note("last_sync", value) for value in (None, "x", -1, 8)},
    **{f"trained {value!r}": note("trained", value) for value in (None, 0, torch.zeros(2), torch.zeros(2, 2))},
    **{f"no {name}": without_note(name) for name in ("rows", "trained", "counted", "last_sync", "wall_s")},
    "a note more": note("more", 1),
    "notes missing": lambda state: state._replace(recorder=None),
    **{f"rows {value!r:.20}": note("rows", value) for value in (None, 7, "", "[]", "{}", "{", "[" * 10**5)},
    "rows of another cell": rows(lambda actual: [row.update(cell_id="../../x") for row in actual["evals"]]),
    "rows of no cell": rows(lambda actual: [row.pop("cell_id") for row in actual["evals"]]),
    "rows with a column more": rows(lambda actual: actual["evals"][0].update(more=1)),
    "an accuracy of text": rows(lambda actual: actual["evals"][0].update(test_accuracy="high")),
    "an accuracy of None": rows(lambda actual: actual["evals"][0].update(test_accuracy=None)),
    "a step beyond": rows(lambda actual: actual["evals"][-1].update(step=STOP + 1)),
    "a step twice": rows(lambda actual: actual["evals"].append(actual["evals"][-1])),
    "steps below zero": rows(lambda actual: actual["rounds"][0].update(step=-1)),
    "a round of None": rows(lambda actual: actual["rounds"].append(None)),
    "no trace": rows(lambda actual: actual.pop("trace")),
}
"""Each makes another state of the one of a cell, and each is none of that cell."""
