"""Wraps the methods of plug-ins' components so that every call checks the return value and the arguments.

Without the checks, a strategy that changes the workers' models in place, or a partition that shuffles the labels that
it receives, would produce wrong results silently. `registry.plugin_loading` calls `check_calls` for each plug-in.
It wraps each method of the plug-in's own classes once, and no method of fdabench's classes.

Changes in place are detected by torch's version counter of a tensor, so no model is copied. Shape suffixes are those
of `core.strategy` and `core.monitor`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import isfunction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.codec import Codec
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import CorrectedGradients, Round, RoundInfo, StepContext, StepResult, Strategy
from fdabench.core.trigger import Decision

Method = Callable[..., Any]
_CHECKED_ROLES = "__fdabench_checked__"


def check_calls(adds: Mapping[str, Mapping[str, Any]]) -> None:
    """Wrap the methods of components, by role and name, in checks of the protocol of their role.

    A wrapped method raises TypeError, with its name and line, if it returns a value of another type or shape than the
    protocol requires, returns NaN for finite arguments, or changes an argument in place.
    """
    for role, methods in _CHECKS.items():
        for component in adds.get(role, {}).values():
            for name, make_wrapper in methods.items():
                _replace(component, name, make_wrapper)


def _replace(component: type, name: str, make_wrapper: Callable[[Method], Method]) -> None:
    """Replace a method by its checked version, in the class that defines it; skipped if that is fdabench's class."""
    owner = next((cls for cls in component.__mro__ if name in vars(cls)), object)
    method = vars(owner).get(name)
    if owner.__module__.split(".")[0] == "fdabench" or not isfunction(method) or hasattr(method, _CHECKED_ROLES):
        return
    wrapper = wraps(method)(make_wrapper(method))
    setattr(wrapper, _CHECKED_ROLES, True)
    setattr(owner, name, wrapper)


def _raise_plugin_error(method: Method, what: str) -> TypeError:
    return TypeError(f"{method.__qualname__}, line {method.__code__.co_firstlineno}: {what}")


def _step(step: Method) -> Method:
    """Check `Strategy.step`: the round that `init` made, the result, and that no argument changes in place."""

    def wrapper(self: Strategy, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        if not (
            isinstance(getattr(r, "anchor_D", None), Tensor)
            and isinstance(getattr(r, "previous_anchor_D", None), Tensor)
        ):
            raise _raise_plugin_error(
                type(self).init, f"must return a Round, as `initial_round` makes it; it returned {_format_value(r)}"
            )
        tensors = {
            "ctx.w_KD": ctx.w_KD,
            "ctx.g_KD": ctx.g_KD,
            "r.anchor_D": r.anchor_D,
            "r.previous_anchor_D": r.previous_anchor_D,
        }
        before = _versions(tensors.values())
        outcome = step(self, ctx, r, channel)
        _check_unchanged(step, tensors, before)
        if not isinstance(outcome, StepResult):
            raise _raise_plugin_error(step, f"must return a StepResult; it returned {_format_value(outcome)}")
        if outcome.synced:
            _check_like(step, "the w_KD of its StepResult", outcome.w_KD, ctx.w_KD)
            _check_no_nan(step, "the w_KD of its StepResult", outcome.w_KD, ctx.w_KD)
        return outcome

    return wrapper


def _correct(correct: Method) -> Method:
    def wrapper(self: object, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        tensors = {"ctx.w_KD": ctx.w_KD, "ctx.g_KD": ctx.g_KD, **ctx.worker_state}
        before = _versions(tensors.values())
        corrected = correct(self, ctx, r, channel)
        _check_unchanged(correct, tensors, before)
        if not isinstance(corrected, CorrectedGradients):
            raise _raise_plugin_error(
                correct, f"must return CorrectedGradients; it returned {_format_value(corrected)}"
            )
        _check_like(correct, "the gradients", corrected.g_KD, ctx.g_KD)
        _check_no_nan(correct, "a corrected gradient", corrected.g_KD, ctx.g_KD)
        return corrected

    return wrapper


def _check(check: Method) -> Method:
    def wrapper(self: object, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        tensors = {"ctx.w_KD": ctx.w_KD, "ctx.g_KD": ctx.g_KD, "r.anchor_D": r.anchor_D}
        before = _versions(tensors.values())
        decision = check(self, ctx, r, channel)
        _check_unchanged(check, tensors, before)
        if not isinstance(decision, Decision):
            raise _raise_plugin_error(check, f"must return a Decision; it returned {_format_value(decision)}")
        return decision

    return wrapper


def _pack(pack: Method) -> Method:
    def wrapper(self: Codec, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        before = _versions([m_KD])
        packed_KB: Tensor = pack(self, m_KD, key_K, draw_key)
        _check_unchanged(pack, {"m_KD": m_KD}, before)
        size = self.message_size(m_KD.shape[1])
        expected = torch.empty(len(m_KD), size, dtype=torch.uint8, device="meta")
        _check_like(pack, f"packed messages of message_size({m_KD.shape[1]}) = {size} bytes", packed_KB, expected)
        return packed_KB

    return wrapper


def _unpack(unpack: Method) -> Method:
    def wrapper(self: Codec, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        before = _versions([packed_KB])
        sent_KD: Tensor = unpack(self, packed_KB, num_parameters, draw_key)
        _check_unchanged(unpack, {"packed_KB": packed_KB}, before)
        _check_like(unpack, "what messages say", sent_KD, torch.empty(len(packed_KB), num_parameters, device="meta"))
        return sent_KD

    return wrapper


def _state(state: Method) -> Method:
    """Check `Monitor.local_state`: its shape is [K, state_size(D)]."""

    def wrapper(self: Monitor, u_KD: Tensor, r: Round) -> Tensor:
        before = _versions([u_KD])
        s_KS = state(self, u_KD, r)
        _check_unchanged(state, {"u_KD": u_KD}, before)
        shape = (len(u_KD), self.state_size(u_KD.shape[1]))
        if not isinstance(s_KS, Tensor) or tuple(s_KS.shape) != shape:
            raise _raise_plugin_error(
                state, f"must return a tensor of shape [K, size] = {list(shape)}; it returned {_format_value(s_KS)}"
            )
        _check_no_nan(state, "the local state", s_KS, u_KD)
        return s_KS

    return wrapper


def _bound(bound: Method) -> Method:
    """Check `Monitor.variance_bound`: a tensor with one element."""

    def wrapper(self: object, s_S: Tensor) -> Tensor:
        h = bound(self, s_S)
        if not isinstance(h, Tensor) or h.numel() != 1:
            raise _raise_plugin_error(bound, f"must return a tensor with one number; it returned {_format_value(h)}")
        _check_no_nan(bound, "the bound", h, s_S)
        return h

    return wrapper


def _apply(apply: Method) -> Method:
    """Check `ServerOptimizer.update`: the next global model, which has the shape of the global model, and a state."""

    def wrapper(self: object, w_D: Tensor, u_D: Tensor, state: object, info: RoundInfo) -> tuple[Tensor, object]:
        tensors = {"w_D": w_D, "u_D": u_D}
        before = _versions(tensors.values())
        updated_D = apply(self, w_D, u_D, state, info)
        _check_unchanged(apply, tensors, before)
        if not isinstance(updated_D, tuple) or len(updated_D) != 2:
            raise _raise_plugin_error(
                apply, f"must return the next global model and the next state; it returned {_format_value(updated_D)}"
            )
        _check_like(apply, "the global model", updated_D[0], w_D)
        _check_no_nan(apply, "the global model", updated_D[0], w_D, u_D)
        return updated_D

    return wrapper


def _build(build: Method) -> Method:
    """Check `LocalOptimizer.build`: a torch optimizer."""

    def wrapper(self: object, rows: object) -> torch.optim.Optimizer:
        optimizer = build(self, rows)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise _raise_plugin_error(
                build, f"must return a torch.optim.Optimizer; it returned {_format_value(optimizer)}"
            )
        return optimizer

    return wrapper


def _split(split: Method) -> Method:
    """Check `Partition.split`: each sample belongs to exactly one worker, and the labels are not changed."""

    def wrapper(self: object, labels: NDArray[np.int64], workers: int, rng: object) -> list[NDArray[np.int64]]:
        # the array shares memory with the labels of the data set, so an assignment to it must raise
        view = labels.view()
        view.flags.writeable = False
        shards = split(self, view, workers, rng)
        if not isinstance(shards, list | tuple) or len(shards) != workers:
            raise _raise_plugin_error(
                split, f"must return a list of {workers} index arrays; it returned {_format_value(shards)}"
            )
        parts = [np.asarray(shard) for shard in shards]
        if any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
            raise _raise_plugin_error(split, "each worker's part must be a one-dimensional array of whole numbers")
        indices = np.concatenate([part.astype(np.int64) for part in parts])
        if indices.size and not 0 <= indices.min() <= indices.max() < len(labels):
            raise _raise_plugin_error(
                split, f"samples go from 0 to {len(labels) - 1}; found {indices.min()} to {indices.max()}"
            )
        times = np.bincount(indices, minlength=len(labels))
        if (times != 1).any():
            at = int(np.nonzero(times != 1)[0][0])
            raise _raise_plugin_error(split, f"every sample belongs to one worker; sample {at} belongs to {times[at]}")
        return list(shards)

    return wrapper


_CHECKS: Mapping[str, Mapping[str, Callable[[Method], Method]]] = {
    "strategies": {"step": _step},
    "triggers": {"check": _check},
    "codecs": {"pack": _pack, "unpack": _unpack},
    "corrections": {"correct": _correct},
    "monitors": {"local_state": _state, "variance_bound": _bound},
    "servers": {"update": _apply},
    "optimizers": {"build": _build},
    "partitions": {"split": _split},
}


def _versions(tensors: Iterable[Tensor]) -> list[int]:
    return [tensor._version for tensor in tensors]


def _check_unchanged(method: Method, tensors: Mapping[str, Tensor], before: list[int]) -> None:
    changed = [name for (name, tensor), was in zip(tensors.items(), before, strict=True) if tensor._version != was]
    if changed:
        raise _raise_plugin_error(method, f"changed {', '.join(changed)} in place; it must return new tensors")


def _check_like(method: Method, what: str, value: object, expected: Tensor) -> None:
    if not isinstance(value, Tensor) or value.shape != expected.shape or value.dtype != expected.dtype:
        raise _raise_plugin_error(method, f"{what} must be {_format_value(expected)}; it is {_format_value(value)}")


def _check_no_nan(method: Method, what: str, result: Tensor, *inputs: Tensor) -> None:
    """Raise TypeError if a result contains NaN although all inputs are finite.

    Other inputs mean that the run diverges, which is a valid result.
    """
    if result.isnan().any() and all(tensor.isfinite().all() for tensor in inputs):
        raise _raise_plugin_error(method, f"{what} is NaN although what it was given is finite")


def _format_value(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
