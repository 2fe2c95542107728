"""Frozen parameters: rows of workers have the trained part only, and workers share the rest in both engines."""

import numpy as np
import pytest
import torch
from torch import nn

from fdabench.core.seeds import numpy_generator
from fdabench.engine.arrays import LabeledData
from fdabench.engine.evaluate import evaluate
from fdabench.engine.flatten import parameters
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.sampling import ShuffleSampler
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.models.fine_tuning import FineTuning, freeze
from fdabench.models.lora import LoraConfig
from fdabench.optimizers.sgd import SGD

CONTEXT, VOCABULARY, SAMPLES, WORKERS, BATCH = 8, 20, 60, 3, 4
WINDOWS = torch.randint(VOCABULARY, (SAMPLES, CONTEXT + 1), generator=torch.Generator().manual_seed(5))
EXAMPLES = LabeledData(WINDOWS[:, :-1], WINDOWS[:, 1:])
PART = FineTuning(trainable=("blocks.1", "norm"))
ADAPTERS = FineTuning(lora=LoraConfig(2, ("project_in", "project_out", "expand", "reduce"), 4.0))
every_setting = pytest.mark.parametrize("settings", [PART, ADAPTERS], ids=["part", "lora"])


def gpt(settings: FineTuning | None) -> nn.Module:
    model = init_model(MODELS["gpt-nano"], (CONTEXT,), VOCABULARY, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return model if settings is None else freeze(model, settings)


def workers(engine: str, settings: FineTuning | None) -> Workers:
    model = gpt(settings)
    samplers = [
        ShuffleSampler(np.arange(k, SAMPLES, WORKERS), BATCH, "wrap", numpy_generator(k)) for k in range(WORKERS)
    ]
    training = TrainingConfig(model, SGD(lr=0.1), EXAMPLES, ENGINES[engine])
    return Workers(training, [WorkerGroup(model, samplers, range(WORKERS))])


@every_setting
def test_both_engines_train_the_same_part_equally(settings: FineTuning) -> None:
    one, other = (workers(engine, settings) for engine in ENGINES)
    size = sum(w.numel() for w in gpt(settings).parameters() if w.requires_grad)
    assert one.weights().shape == (WORKERS, size)
    assert [item.stop for item in one.layout][-1] == size
    for _ in range(4):
        assert torch.allclose(one.step().loss_K, other.step().loss_K, rtol=1e-4)
        assert torch.allclose(one.weights(), other.weights(), rtol=1e-3, atol=1e-5)
    assert not torch.equal(one.weights()[0], one.weights()[1])


@every_setting
@pytest.mark.parametrize("engine", ENGINES)
def test_steps_and_evaluations_do_not_change_frozen_parameters(engine: str, settings: FineTuning) -> None:
    actual = workers(engine, settings)
    model = actual._training.model
    frozen = {name: (w.data_ptr(), w.clone()) for name, w in model.named_parameters() if not w.requires_grad}
    for _ in range(2):
        actual.step()
    evaluate(model, actual.weights()[1], actual.statistics()[1], EXAMPLES)
    for name, w in model.named_parameters():
        if not w.requires_grad:
            address, before = frozen[name]
            assert w.data_ptr() == address
            assert torch.equal(w, before), name
    trained_elements = sum(w.numel() for w in parameters(model))
    assert actual.rows.w_KD.numel() == WORKERS * trained_elements


@pytest.mark.parametrize("engine", ENGINES)
def test_the_gradient_of_a_part_is_that_part_of_the_whole_gradient(engine: str) -> None:
    whole, part = workers(engine, None), workers(engine, PART)
    whole.backward()
    part.backward()
    names = {item.name for item in part.layout}
    picked = torch.cat([whole.gradients()[:, item.start : item.stop] for item in whole.layout if item.name in names], 1)
    assert torch.allclose(picked, part.gradients(), rtol=1e-4, atol=1e-6)
