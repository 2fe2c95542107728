from time import monotonic

import pytest
from crews import ends_at_once, last_one_fails, never_ends, rank_and_sum
from launch import launch


def test_results_come_in_rank_order_from_processes_of_one_thread() -> None:
    assert launch(rank_and_sum, 2, 10) == [(0, 21.0, 1), (1, 21.0, 1)]


def test_a_task_that_raises_is_told_by_name_and_the_others_are_not_waited_for() -> None:
    begun = monotonic()
    with pytest.raises(RuntimeError, match=r"process 1 of 2:\n(?s:.*)ValueError: no such worker"):
        launch(last_one_fails, 2, timeout_s=100)
    assert monotonic() - begun < 60


def test_a_task_without_end_is_stopped() -> None:
    with pytest.raises(TimeoutError, match="still busy"):
        launch(never_ends, 1, timeout_s=4)


def test_a_process_that_vanishes_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="without a word"):
        launch(ends_at_once, 1)
