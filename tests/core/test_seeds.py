import hashlib
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdabench.core.schedule import is_period_end
from fdabench.core.seeds import derive_seed, numpy_generator, torch_generator


def test_a_seed_is_63_bits_of_the_hash_of_its_axes() -> None:
    """A literal: seeds that change would change every published number."""
    text = '["weights",{"dataset":"digits","seed":0}]'
    assert (
        derive_seed("weights", {"seed": 0, "dataset": "digits"})
        == int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 1
    )


def test_the_order_of_axes_does_not_matter_and_each_of_them_does() -> None:
    axes = {"seed": 1, "dataset": "digits", "partition": {"kind": "iid", "x": 0.5}}
    same = {"partition": {"x": 0.5, "kind": "iid"}, "dataset": "digits", "seed": 1}
    assert derive_seed("batches", axes) == derive_seed("batches", same)
    others = [derive_seed("batches", axes | {key: "other"}) for key in axes] + [derive_seed("weights", axes)]
    assert len({derive_seed("batches", axes), *others}) == 5


@given(st.text(), st.dictionaries(st.text(), st.integers()))
def test_seeds_fit_every_generator(purpose: str, axes: dict[str, int]) -> None:
    seed = derive_seed(purpose, axes)
    assert 0 <= seed < 2**63
    assert numpy_generator(seed).random() == numpy_generator(seed).random()
    assert torch.rand(1, generator=torch_generator(seed)) == torch.rand(1, generator=torch_generator(seed))


def test_generators_do_not_change_the_global_generators() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    torch.rand(3, generator=torch_generator(5))
    numpy_generator(5).random(3)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


@given(st.fractions(min_value="1/7", max_value=50, max_denominator=90), st.integers(0, 300))
def test_periods_end_at_their_multiples(period, steps: int) -> None:
    """No fraction is lost: after n steps, floor(n / period) periods are over (at most one in a step)."""
    ended = sum(is_period_end(t, period) for t in range(steps))
    assert ended == (steps // period if period >= 1 else steps)
