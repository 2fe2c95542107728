"""What a model learns to predict. `datasets`, `models` and `registry` use it to check that both belong together."""

from typing import Literal

Task = Literal["classification", "next-token"]
"""`classification`: the class of each sample. Inputs are float32 [N, *shape], labels int64 [N], logits [N, classes].

`next-token`: the token after each position of a sequence. Inputs and targets are int64 [N, T], `shape` is (T,),
`classes` is the size of the vocabulary, and logits are float32 [N, T, classes]."""
