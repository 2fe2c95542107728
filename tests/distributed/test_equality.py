"""A strategy gives the same bits in one process and in several."""

from functools import cache

import pytest
import torch

from fdabench.core.collective import InProcessCollective
from support.launch import launch
from support.rank_tasks import STEPS, cases, local_workers, run_both_reductions, run_in_rank_order
from support.toy import TrainingRun, train

TWO_AND_TWO, TWO_AND_ONE = (2, 2), (2, 1)
ONE_EACH, UNEVEN = (1, 1, 1, 1), (3, 1, 2, 1)
NAMES = list(cases())

# AllReduced adds the same K products in another order: an average differs by at most 2 (K - 1) eps times the largest
# summand, eps = 2^-24. Drifts are below 1, and a difference in the weights grows by at most 1 + lr L a step, L the
# curvature of the loss; lr L = 0.4 on the toy is generous, and 1.4^20 = 837. So 20 steps x 6 eps x 837.
ALL_REDUCED_BOUND = STEPS * 6 * 2**-24 * 837


@cache
def alone(name: str, workers: int) -> TrainingRun:
    case = cases()[name]
    return train(
        case.strategy,
        workers=workers,
        steps=STEPS,
        local=case.local,
        collective=InProcessCollective(case.shares(workers)),
        loss=case.loss(workers),
        slow=case.local_steps(workers),
    )


@pytest.fixture(scope="module")
def two_processes() -> tuple[list[dict], list[dict]]:
    per_rank = launch(run_both_reductions, 2, [TWO_AND_TWO, TWO_AND_ONE], TWO_AND_TWO)
    return [ranked for ranked, _ in per_rank], [reduced for _, reduced in per_rank]


@pytest.fixture(scope="module")
def four_processes() -> list[dict]:
    return launch(run_in_rank_order, 4, [ONE_EACH, UNEVEN], timeout_s=300.0)


def assert_same(single: TrainingRun, ranks: list[TrainingRun], layout: tuple[int, ...]) -> None:
    for rank, ran in enumerate(ranks):
        actual = local_workers(rank, layout)
        assert torch.equal(ran.w_KD, single.w_KD[actual.start : actual.stop])
        assert ran.estimates == single.estimates
        assert ran.syncs == single.syncs
        assert ran.entries == single.entries


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [TWO_AND_TWO, TWO_AND_ONE], ids=str)
def test_two_processes_have_the_bits_of_one(name: str, layout: tuple[int, ...], two_processes: tuple) -> None:
    assert_same(alone(name, sum(layout)), [rank[layout][name] for rank in two_processes[0]], layout)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [ONE_EACH, UNEVEN], ids=str)
def test_four_processes_have_the_bits_of_one(name: str, layout: tuple[int, ...], four_processes: list[dict]) -> None:
    assert_same(alone(name, sum(layout)), [rank[layout][name] for rank in four_processes], layout)


@pytest.mark.parametrize("name", NAMES)
def test_the_backends_own_sum_differs_by_rounding_only(name: str, two_processes: tuple) -> None:
    single, ranks = alone(name, 4), [rank[name] for rank in two_processes[1]]
    together_KD = torch.cat([ran.w_KD for ran in ranks])
    assert (together_KD - single.w_KD).abs().max() < ALL_REDUCED_BOUND
    assert ranks[0].estimates == ranks[1].estimates
    for ran in ranks:
        assert ran.syncs == single.syncs
        assert ran.entries == single.entries
