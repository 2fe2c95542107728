"""`support.launch`, which the other distributed tests rely on."""

from time import monotonic

import pytest

from support.launch import launch
from support.rank_tasks import exit_at_once, fail_on_last_rank, loop_forever, rank_and_sum


def test_results_are_in_rank_order_and_each_process_has_one_thread() -> None:
    assert launch(rank_and_sum, 2, 10) == [(0, 21.0, 1), (1, 21.0, 1)]


def test_the_traceback_of_a_failing_rank_is_raised_without_waiting_for_the_others() -> None:
    start = monotonic()
    with pytest.raises(RuntimeError, match=r"process 1 of 2:\n(?s:.*)ValueError: no such worker"):
        launch(fail_on_last_rank, 2, timeout_s=100)
    assert monotonic() - start < 60


def test_an_endless_task_is_stopped_at_the_timeout() -> None:
    with pytest.raises(TimeoutError, match="still busy"):
        launch(loop_forever, 1, timeout_s=4)


def test_a_process_that_exits_without_a_report_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="without a report"):
        launch(exit_at_once, 1)
