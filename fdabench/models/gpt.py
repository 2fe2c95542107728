"""Small GPTs: decoder-only transformers with learned positions, layer normalization before each block and a tied head.

The query, key, value and output projections of the attention have no bias; the other linear layers have one.

Sources: A. Radford et al., Language Models are Unsupervised Multitask Learners, 2019 (the architecture and the initial
weights); O. Press and L. Wolf, Using the Output Embedding to Improve Language Models, EACL 2017 (the tied head).
"""

from functools import partial
from math import sqrt

from torch import Tensor, nn
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from fdabench.component_info import ComponentInfo
from fdabench.models.base import ModelSpec, Shape

STD = 0.02
"""The standard deviation of the initial weights, as in GPT-2."""


class Attention(nn.Module):
    """Causal self-attention: [N, T, width] to [N, T, width]; position t depends on the positions 0..t only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # [N, T, 3 width] to three tensors [N, heads, T, width / heads]
        q, k, v = self.project_in(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        y: Tensor = self.project_out(mixed.transpose(1, 2).flatten(2))
        return y


class Block(nn.Module):
    """One layer of the transformer: attention and a perceptron of 4 times the width, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_perceptron = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.reduce = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x))
        y: Tensor = x + self.reduce(gelu(self.expand(self.norm_perceptron(x)), approximate="tanh"))
        return y


class GPT(nn.Module):
    """Predicts the next token at each position: int64 [N, T] to logits [N, T, vocabulary], T at most `context`.

    The head uses the weights of the token embedding, so the model has that tensor once.

    Args:
        context: the largest number of positions of a sequence.
        vocabulary: the number of tokens.
        width: the number of features of each position between the blocks.
        layers: the number of blocks.
        heads: the number of attention heads of each block; it divides `width`.
    """

    def __init__(self, context: int, vocabulary: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        return linear(self.norm(self.blocks(x)), self.tokens.weight)


def build(width: int, layers: int, heads: int, shape: Shape, classes: int) -> nn.Module:
    """Build a GPT with the initial weights of GPT-2: normal with deviation 0.02, biases zero.

    The layers whose output is added to their input have deviation 0.02 / sqrt(2 layers), so that the variance of the
    sum does not grow with the number of layers.

    Args:
        width, layers, heads: as in `GPT`.
        shape: (context,).
        classes: the size of the vocabulary.
    """
    (context,) = shape
    model = GPT(context, classes, width, layers, heads)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            is_residual = name.endswith(("project_out", "reduce"))
            nn.init.normal_(module.weight, std=STD / sqrt(2 * layers) if is_residual else STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def _spec(size: str, width: int, layers: int, heads: int, parameters: str) -> ModelSpec:
    """The specification of one size; `parameters` is their number with bytes as tokens and a context of 64."""
    description = (
        f"width {width}, {layers} layers, {heads} heads; {parameters} parameters at context 64, bytes as tokens"
    )
    info = ComponentInfo(name=f"GPT-{size}", references=("radford2019", "press2017"))
    return ModelSpec(partial(build, width, layers, heads), None, description, info, task="next-token")


GPT_NANO = _spec("nano", 64, 2, 4, "120,064")
GPT_MICRO = _spec("micro", 96, 3, 4, "365,280")
GPT_MINI = _spec("mini", 128, 4, 4, "832,256")
