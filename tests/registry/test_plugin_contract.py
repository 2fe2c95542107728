"""Methods of a plug-in's components that break the contract of their role are reported with name and line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fdabench.core.strategy import CorrectedGradients, StepResult, SyncRule
from fdabench.core.sync import initial_round
from fdabench.registry.call_checks import check_calls
from fdabench.servers.average import Average
from support.toy import step_context

W = torch.ones(2, 3)
R = initial_round(W[0].clone(), SyncRule(Average()))
LABELS = np.array([0, 1, 0, 1, 0])


def checked(role: str, name: str, method: Callable[..., Any], **others: Any) -> Any:
    """A component of this role with this function as its method."""
    component = type("Mine", (), {"__module__": "mine", name: method, **others})
    check_calls({role: {"mine": component}})
    return getattr(component(), name)


def stepping(outcome: Callable[[Tensor], Any]) -> Any:
    return checked("strategies", "step", lambda self, ctx, r, channel: outcome(ctx.w_KD))(
        step_context(0, W.clone()), R, None
    )


STEPS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "none": (lambda w_KD: None, "must return a StepResult; it returned None"),
    "tuple": (lambda w_KD: (w_KD, R, False), "must return a StepResult; it returned a tuple of 3"),
    "in place": (lambda w_KD: StepResult(w_KD.zero_(), R, False), "changed ctx.w_KD in place; it must return new"),
    "a view in place": (lambda w_KD: w_KD[0].add_(1) * 0, "changed ctx.w_KD in place"),
    "the anchor": (lambda w_KD: R.anchor_D.mul_(1), "changed r.anchor_D, r.previous_anchor_D in place"),
    "one row": (
        lambda w_KD: StepResult(w_KD[:1], R, True),
        "the w_KD of its StepResult must be a tensor of float32 [2, 3]; it is a tensor of float32 [1, 3]",
    ),
    "float64": (lambda w_KD: StepResult(w_KD.double(), R, True), "it is a tensor of float64 [2, 3]"),
    "nan": (lambda w_KD: StepResult(w_KD * torch.nan, R, True), "is NaN although what it was given is finite"),
}  # fmt: skip


@pytest.mark.parametrize(("outcome", "message"), STEPS.values(), ids=STEPS)
def test_a_step_that_changes_its_arguments_or_returns_other_shapes_is_reported(
    outcome: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises(TypeError) as raised:
        stepping(outcome)
    assert message in str(raised.value)
    assert f"line {stepping.__code__.co_firstlineno + 1}: " in str(raised.value)


def test_an_init_that_returns_no_round_is_reported() -> None:
    step = checked("strategies", "step", lambda self, ctx, r, channel: None, init=lambda self, w_D: ())
    with pytest.raises(
        TypeError, match=r"lambda>, line \d+: must return a Round, as `initial_round` makes it; it returned a tup"
    ):
        step(step_context(0, W.clone()), (), None)


CORRECTIONS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "none": (lambda g_KD: None, "the gradients must be a tensor of float32 [2, 3]; it is None"),
    "in place": (lambda g_KD: g_KD.mul_(2), "changed ctx.g_KD in place; it must return new tensors"),
    "mean alone": (lambda g_KD: g_KD.mean(0), "it is a tensor of float32 [3]"),
    "nan": (lambda g_KD: g_KD * torch.nan, "a corrected gradient is NaN although what it was given is finite"),
}


@pytest.mark.parametrize(("corrected", "message"), CORRECTIONS.values(), ids=CORRECTIONS)
def test_corrected_gradients_in_place_or_of_other_shapes_are_reported(
    corrected: Callable[[Tensor], Any], message: str
) -> None:
    correct = checked("corrections", "correct", lambda self, ctx, r, channel: CorrectedGradients(corrected(ctx.g_KD)))
    with pytest.raises(TypeError) as raised:
        correct(step_context(0, W.clone(), W.clone()), R, None)
    assert message in str(raised.value)


def test_a_mean_of_gradients_for_all_workers_is_accepted() -> None:
    correct = checked(
        "corrections", "correct", lambda self, ctx, r, channel: CorrectedGradients(ctx.g_KD.mean(0).expand_as(ctx.g_KD))
    )
    assert correct(step_context(0, W.clone(), W.clone()), R, None).g_KD.equal(W.mean(0).expand_as(W))


def test_a_step_that_follows_its_contract_is_accepted() -> None:
    assert stepping(lambda w_KD: StepResult(w_KD, R, False)).w_KD.equal(W)
    assert stepping(lambda w_KD: StepResult(w_KD.mean(0).expand_as(w_KD), R, True)).synced
    diverged = W * torch.inf
    step = checked("strategies", "step", lambda self, ctx, r, channel: StepResult(ctx.w_KD - ctx.w_KD, r, True))
    assert step(step_context(0, diverged), R, None).w_KD.isnan().all(), "what diverges is a result"


MONITORS: dict[str, tuple[Any, Any, str]] = {
    "shape": (lambda u_KD: u_KD, lambda s_S: s_S[0], "must return a tensor of shape [K, size] = [2, 1]; it returned a "
              "tensor of float32 [2, 3]"),
    "in place": (lambda u_KD: u_KD.pow_(2)[:, :1], lambda s_S: s_S[0], "changed u_KD in place"),
    "nan": (lambda u_KD: u_KD[:, :1] * torch.nan, lambda s_S: s_S[0], "the local state is NaN"),
    "no bound": (lambda u_KD: u_KD[:, :1], lambda s_S: None, "must return a tensor with one number; it returned None"),
    "bounds": (lambda u_KD: u_KD[:, :1], lambda s_S: s_S.expand(2), "it returned a tensor of float32 [2]"),
    "nan bound": (lambda u_KD: u_KD[:, :1], lambda s_S: s_S[0] * torch.nan, "the bound is NaN"),
}  # fmt: skip


@pytest.mark.parametrize(("state", "bound", "message"), MONITORS.values(), ids=MONITORS)
def test_a_monitor_without_a_state_for_each_worker_or_one_bound_is_reported(
    state: Any, bound: Any, message: str
) -> None:
    size = {"state_size": lambda self, num_parameters: 1}
    make = checked("monitors", "local_state", lambda self, u_KD, r: state(u_KD), **size)
    judge = checked("monitors", "variance_bound", lambda self, s_S: bound(s_S), **size)
    with pytest.raises(TypeError) as raised:
        judge(make(W.clone(), R).mean(0))
    assert message in str(raised.value)


SERVERS: dict[str, tuple[Any, str]] = {
    "model alone": (lambda w_D, u_D: w_D, "must return the next global model and the next state; it returned a tensor"),
    "in place": (lambda w_D, u_D: (w_D.add_(u_D), ()), "changed w_D in place"),
    "scalar": (lambda w_D, u_D: (u_D.sum(), ()), "the global model must be a tensor of float32 [3]"),
    "nan": (lambda w_D, u_D: (w_D + u_D / 0 * 0, ()), "the global model is NaN"),
}


@pytest.mark.parametrize(("move", "message"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_returns_no_new_model_and_state_is_reported(move: Any, message: str) -> None:
    apply = checked("servers", "update", lambda self, w_D, u_D, state, info: move(w_D, u_D))
    with pytest.raises(TypeError) as raised:
        apply(W[0].clone(), W[1].clone(), (), None)
    assert message in str(raised.value)


SPLITS: dict[str, tuple[Any, str]] = {
    "too few": (lambda labels: [np.arange(5)], "must return a list of 2 index arrays; it returned a list of 1"),
    "twice": (lambda labels: [np.arange(5), [4]], "every sample belongs to one worker; sample 4 belongs to 2"),
    "left out": (lambda labels: [[0, 1], [2, 4]], "sample 3 belongs to 0"),
    "outside": (lambda labels: [np.arange(5), [5]], "samples go from 0 to 4; found 0 to 5"),
    "floats": (lambda labels: [np.arange(5.0), []], "must be a one-dimensional array of whole numbers"),
    "labels": (lambda labels: labels.sort(), "read-only"),
}


@pytest.mark.parametrize(("share_out", "message"), SPLITS.values(), ids=SPLITS)
def test_a_partition_that_repeats_samples_or_changes_labels_is_reported(share_out: Any, message: str) -> None:
    split = checked("partitions", "split", lambda self, labels, workers, rng: share_out(labels))
    labels = LABELS.copy()
    with pytest.raises((TypeError, ValueError)) as raised:
        split(labels, 2, None)
    assert message in str(raised.value)
    assert (labels == LABELS).all()


def test_an_optimizer_that_is_not_one_of_torch_is_reported() -> None:
    build = checked("optimizers", "build", lambda self, rows: rows)
    with pytest.raises(TypeError, match=r"must return a torch\.optim\.Optimizer; it returned a list of 1"):
        build([W])


def test_classes_of_fdabench_are_not_wrapped_and_others_are_wrapped_once() -> None:
    inherited = type("Mine", (Average,), {"__module__": "mine"})
    before = Average.update
    check_calls({"servers": {"mine": inherited}})
    assert inherited.update is Average.update is before
    own = type("Own", (Average,), {"__module__": "mine", "update": lambda self, w_D, u_D, state: (w_D, state)})
    check_calls({"servers": {"own": own}})
    once = own.update
    check_calls({"servers": {"own": own, "again": type("Sub", (own,), {"__module__": "mine"})}})
    assert own.update is once
