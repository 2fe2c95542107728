"""Sequences of tokens: the loss and the accuracy are means over all tokens, in both engines and in evaluations."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fdabench.core.seeds import numpy_generator
from fdabench.engine.arrays import LabeledData
from fdabench.engine.evaluate import evaluate
from fdabench.engine.flatten import bind_parameters, flatten, parameters
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.loss import correct_predictions, cross_entropy
from fdabench.engine.sampling import ShuffleSampler
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.optimizers.adam import AdamW

CONTEXT, VOCABULARY, SAMPLES, WORKERS, BATCH = 8, 20, 210, 3, 6
GENERATOR = torch.Generator().manual_seed(5)
WINDOWS = torch.randint(VOCABULARY, (SAMPLES, CONTEXT + 1), generator=GENERATOR)
EXAMPLES = LabeledData(WINDOWS[:, :-1], WINDOWS[:, 1:])
every_engine = pytest.mark.parametrize("engine", ENGINES)


def gpt() -> nn.Module:
    return init_model(MODELS["gpt-nano"], (CONTEXT,), VOCABULARY, 1)


def workers(engine: str, examples: LabeledData = EXAMPLES) -> Workers:
    model = gpt()
    samplers = [
        ShuffleSampler(np.arange(k, SAMPLES, WORKERS), BATCH, "wrap", numpy_generator(k)) for k in range(WORKERS)
    ]
    training = TrainingConfig(model, AdamW(lr=3e-3), examples, ENGINES[engine])
    return Workers(training, [WorkerGroup(model, samplers, range(WORKERS))])


def test_both_engines_train_a_transformer_equally() -> None:
    one, other = (workers(engine) for engine in ENGINES)
    for _ in range(5):
        losses, same = one.step(), other.step()
        assert torch.allclose(losses.loss_K, same.loss_K, rtol=1e-4)
        # a tie of two logits may be decided by rounding, which is one token in 48
        assert (losses.accuracy_K - same.accuracy_K).abs().max() < 2 / (BATCH * CONTEXT)
        assert torch.allclose(one.gradients(), other.gradients(), rtol=1e-2, atol=1e-5)
    assert not torch.equal(one.weights()[0], one.weights()[1])


@every_engine
def test_the_gradient_is_that_of_the_mean_over_all_tokens(engine: str) -> None:
    actual = workers(engine)
    actual.backward()
    model = gpt()
    samples = ShuffleSampler(np.arange(1, SAMPLES, WORKERS), BATCH, "wrap", numpy_generator(1)).next_batch()
    windows = WINDOWS[torch.from_numpy(samples)]
    log_p = model(windows[:, :-1]).log_softmax(-1)
    loss = -torch.stack([log_p[n, t, windows[n, t + 1]] for n in range(BATCH) for t in range(CONTEXT)]).mean()
    expected_D = flatten(torch.autograd.grad(loss, parameters(model)))
    assert torch.allclose(actual.gradients()[1], expected_D, rtol=1e-3, atol=1e-6)


@every_engine
def test_training_learns_the_next_token(engine: str) -> None:
    """The next token is the token plus one: one layer of lookups, which a few steps find."""
    first = torch.arange(SAMPLES)[:, None] + torch.arange(CONTEXT + 1)
    windows = first % VOCABULARY
    actual = workers(engine, LabeledData(windows[:, :-1], windows[:, 1:]))
    losses = [actual.step().loss_K.mean() for _ in range(60)]
    assert losses[0] > 2.9
    assert losses[-1] < 0.5


def log_p_of(model: nn.Module, w_D: Tensor, data: LabeledData) -> Tensor:
    bind_parameters(model, w_D, torch.empty(0))
    with torch.no_grad():
        log_p: Tensor = model(data.x).log_softmax(-1)
    return log_p


def test_an_evaluation_counts_every_token_once() -> None:
    """The last batch of 10 samples counts as many tokens as it has."""
    model = gpt()
    w_D = flatten(parameters(model)) * 3
    actual = evaluate(model, w_D, torch.empty(0), EXAMPLES)
    log_p = log_p_of(gpt(), w_D, EXAMPLES)
    assert actual.loss == pytest.approx(-float(log_p.gather(-1, EXAMPLES.y[..., None]).mean()), rel=1e-5)
    assert actual.accuracy == pytest.approx(float((log_p.argmax(-1) == EXAMPLES.y).double().mean()), abs=1e-12)


def test_loss_and_accuracy_of_classes_are_those_of_sequences_of_one_token() -> None:
    logits, y = torch.randn(12, 5, generator=GENERATOR), torch.arange(12) % 5
    assert torch.equal(cross_entropy(logits, y), nn.functional.cross_entropy(logits, y))
    assert torch.equal(cross_entropy(logits, y), cross_entropy(logits[:, None], y[:, None]))
    assert torch.equal(correct_predictions(logits, y), correct_predictions(logits[:, None], y[:, None])[:, 0])


def test_selected_sequences_are_copies_in_the_given_order() -> None:
    chosen = EXAMPLES.select(torch.tensor([7, 0, 7]))
    assert torch.equal(chosen.x, WINDOWS[[7, 0, 7], :-1])
    assert torch.equal(chosen.y, WINDOWS[[7, 0, 7], 1:])
