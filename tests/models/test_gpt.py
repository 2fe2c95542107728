"""GPTs: no position depends on a later one, the head is tied, and the logits equal those of torch's transformer."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fdabench.engine.flatten import bind_parameters, flatten, parameters, row_layout, unflatten
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.models.gpt import GPT

CONTEXT, VOCABULARY = 16, 40
gpts = pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("gpt-")])


def gpt(name: str = "gpt-nano") -> Any:
    return init_model(MODELS[name], (CONTEXT,), VOCABULARY, 3)


def tokens(samples: int = 4, length: int = CONTEXT) -> Tensor:
    return torch.randint(VOCABULARY, (samples, length), generator=torch.Generator().manual_seed(1))


@gpts
def test_a_position_depends_on_no_later_one(name: str) -> None:
    model, x = gpt(name), tokens()
    for last in (0, 5, CONTEXT - 2):
        other = x.clone()
        other[:, last + 1 :] = (other[:, last + 1 :] + 1) % VOCABULARY
        logits, changed = model(x), model(other)
        assert torch.allclose(logits[:, : last + 1], changed[:, : last + 1], atol=1e-6)
        assert not torch.allclose(logits[:, last + 1], changed[:, last + 1], atol=1e-3)


@gpts
def test_a_shorter_sequence_gives_the_same_logits(name: str) -> None:
    model, x = gpt(name), tokens()
    assert torch.allclose(model(x[:, :7]), model(x)[:, :7], atol=1e-6)


def test_the_order_of_earlier_tokens_matters() -> None:
    model, x = gpt(), tokens()
    swapped = x[:, [1, 0, *range(2, CONTEXT)]]
    assert not torch.allclose(model(x)[:, -1], model(swapped)[:, -1], atol=1e-5)


def test_the_tied_tensor_is_one_part_of_the_row_and_gets_both_gradients() -> None:
    """The gradient of the embedding of a token that does not occur comes from the head alone."""
    model, x = gpt(), tokens() % 10
    assert [part.name for part in row_layout(model)].count("tokens.weight") == 1
    assert sum(part.shape == (VOCABULARY, 64) for part in row_layout(model)) == 1
    model(x).logsumexp(-1).sum().backward()
    assert model.tokens.weight.grad[20].abs().max() > 0
    w_D = flatten(parameters(model))
    w_D[: VOCABULARY * 64] = 0
    bind_parameters(model, w_D, torch.empty(0))
    assert not model(x).any()


class Reference(nn.Module):
    """The same network built from torch's layers."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        width = model.norm.normalized_shape[0]
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, lambda x: nn.functional.gelu(x, approximate="tanh"), 1e-5, True, True
        )
        self.model, self.encoder = model, nn.TransformerEncoder(layer, len(model.blocks), enable_nested_tensor=False)
        for actual, block in zip(self.encoder.layers, model.blocks, strict=True):
            actual.load_state_dict(
                {
                    "self_attn.in_proj_weight": block.attention.project_in.weight,
                    "self_attn.in_proj_bias": torch.zeros(3 * width),
                    "self_attn.out_proj.weight": block.attention.project_out.weight,
                    "self_attn.out_proj.bias": torch.zeros(width),
                    "linear1.weight": block.expand.weight,
                    "linear1.bias": block.expand.bias,
                    "linear2.weight": block.reduce.weight,
                    "linear2.bias": block.reduce.bias,
                    "norm1.weight": block.norm_attention.weight,
                    "norm1.bias": block.norm_attention.bias,
                    "norm2.weight": block.norm_perceptron.weight,
                    "norm2.bias": block.norm_perceptron.bias,
                }
            )

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        h = self.model.tokens(x) + self.model.positions(torch.arange(length))
        h = self.encoder(h, nn.Transformer.generate_square_subsequent_mask(length), is_causal=True)
        return self.model.norm(h) @ self.model.tokens.weight.T


@gpts
def test_logits_equal_those_of_torchs_transformer_encoder_with_a_causal_mask(name: str) -> None:
    model = gpt(name)
    # larger weights than the initial ones, so that every layer matters
    large = flatten(parameters(model)) * 5
    with torch.no_grad():
        for parameter, value in zip(parameters(model), unflatten(large, parameters(model)), strict=True):
            parameter.copy_(value)
    reference = Reference(model).train()
    x = tokens()
    assert torch.allclose(model(x), reference(x), rtol=1e-4, atol=1e-4)
