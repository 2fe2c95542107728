"""Arguments that `fdabench.sync` refuses before the first step, and the parameters that it synchronizes."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from fdabench import sync
from fdabench.engine.flatten import flatten
from fdabench.errors import SuiteError, UsageError
from fdabench.own_loop.parameters import ModelRow
from support.own_loop.loop_tasks import small_model, train_step


def test_the_import_of_the_package_does_not_import_torch() -> None:
    code = "import fdabench, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "fdda", "theta": 1.0}, 'did you mean "fda"'),
        ({"kind": "fda", "monitor": "linear", "thetta": 1.0}, 'did you mean "theta"'),
        ({"kind": "fda", "monitor": "linear", "theta": [1.0, 2.0]}, "give one value"),
        ({"kind": "fda", "monitor": "linear", "theta": 1.0, "last": True}, "give steps to fdabench.sync"),
        ({"kind": "fedavg", "local_epochs": 1}, "give steps_per_epoch"),
        ({"kind": "adacomm", "when": {"first": 4}}, "loss of each step"),
        ({"kind": "scaffold", "local_steps": 2}, 'of = "gradient"'),
    ],
)
def test_an_invalid_or_unsupported_strategy_is_refused(table: dict, message: str) -> None:
    model = small_model()
    with pytest.raises(SuiteError) as caught:
        sync(model, torch.optim.Adam(model.parameters()), table)
    assert message in str(caught.value)


def test_all_invalid_options_are_reported_before_the_first_step() -> None:
    model = small_model()
    with pytest.raises(UsageError) as caught:
        sync(model, torch.optim.SGD(model.parameters(), lr=0.1), "fda", buffers="averged", reduction="sum", steps=0)
    for expected in ('did you mean "averaged"', "reduction: 'sum'; ordered and allreduce", "steps: 0; a whole number"):
        assert expected in str(caught.value)


def test_parameters_that_the_optimizer_does_not_step_are_named() -> None:
    model = small_model()
    with pytest.raises(UsageError, match=r"does not step 2\.weight and 1 more"):
        sync(model, torch.optim.SGD(model[0].parameters(), lr=0.1), "synchronous")


def test_double_precision_is_refused_with_the_parameter() -> None:
    model = small_model().double()
    with pytest.raises(UsageError, match=r"0\.weight is float64"):
        sync(model, torch.optim.SGD(model.parameters(), lr=0.1), "synchronous")


def test_frozen_parameters_are_not_sent_and_parameter_groups_may_differ() -> None:
    model = small_model()
    model[0].bias.requires_grad_(False)
    frozen = model[0].bias.clone()
    groups = [{"params": [model[0].weight], "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.01}]
    with sync(model, torch.optim.SGD(groups), "synchronous") as s:
        train_step(model, s._optimizer, 0)
    assert torch.equal(model[0].bias, frozen)
    assert {entry.elements for entry in s.ledger} == {6 * 8 + 8 * 3 + 3}


def test_bfloat16_weights_have_a_float32_anchor() -> None:
    model = nn.Linear(6, 3).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sync(model, optimizer, "fedavg", local_steps=2) as s:
        for _ in range(2):
            model(torch.ones(1, 6, dtype=torch.bfloat16)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert s.syncs == 1
    assert s._worker.round.anchor_D.dtype == torch.float32
    assert model.weight.dtype == torch.bfloat16
    assert torch.equal(s._worker.round.anchor_D[:18].bfloat16(), model.weight.flatten())


def test_a_row_follows_the_model_after_steps_in_place_and_after_reallocation() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(4, 2))
    model[0].to(memory_format=torch.channels_last)
    row = ModelRow(model)
    copies = [row.read()]
    with torch.no_grad():
        for item in model.parameters():
            item.add_(1.0)
    copies.append(row.read())
    for item in model.parameters():
        item.data = item.data + 1.0
    copies.append(row.read())
    assert torch.equal(copies[2][0], flatten(list(model.parameters())))
    torch.testing.assert_close(copies[1], copies[0] + 1)
    torch.testing.assert_close(copies[2], copies[0] + 2)
    # `current` writes to the same memory each time
    first = row.current()
    for item in model.parameters():
        item.data = item.data.bfloat16()
    assert row.current().data_ptr() == first.data_ptr()
    assert torch.equal(first[0], flatten(list(model.parameters())).float())


def test_with_disabled_sync_no_hook_is_registered() -> None:
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sync(model, optimizer, "fda", enabled=False):
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks


def test_the_hooks_are_removed_after_an_exception() -> None:
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyError), sync(model, optimizer, "synchronous"):
        raise KeyError
    assert not optimizer._optimizer_step_post_hooks
