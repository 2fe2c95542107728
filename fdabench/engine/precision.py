"""The precision of matrix products and convolutions. Weights, drifts, monitors and sums are always float32."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

Precision = Literal["fp32", "bf16", "tf32"]
"""fp32; bf16: torch's autocast; tf32: products of float32 with 10 bits of mantissa, on CUDA."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context for forward passes: torch's autocast to bfloat16 if the precision is `bf16`."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """A context for forward and backward passes: allows TF32 if the precision is `tf32`, and forbids it otherwise.

    It also selects deterministic cuDNN algorithms; by default cuDNN may add gradients of convolutions in any order.
    """
    # torch's type stubs lack the second one
    flags = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before, deterministic = [flag.fp32_precision for flag in flags], torch.backends.cudnn.deterministic
    _set(flags, ["tf32" if precision == "tf32" else "ieee"] * len(flags))
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        _set(flags, before)
        torch.backends.cudnn.deterministic = deterministic


def plain_attention() -> AbstractContextManager[object]:
    """A context in which `scaled_dot_product_attention` is computed by matrix products and a softmax.

    Its fused kernels have no rule for torch.func.vmap on a CPU, and on CUDA their gradients differ from run to run.
    """
    return sdpa_kernel(SDPBackend.MATH)


def _set(flags: Sequence[Any], values: Sequence[str]) -> None:
    for flag, value in zip(flags, values, strict=True):
        flag.fp32_precision = value
