"""Types that several packages use and that none of them owns."""

from typing import Any, Literal, TypeAlias

ParsedTable: TypeAlias = dict[str, Any]
"""A table as a TOML or JSON file has it; nothing in it has been validated."""
Task: TypeAlias = Literal["classification", "next-token"]
"""`classification`: the class of each sample. Inputs are float32 [N, *shape], labels int64 [N], logits [N, classes].

`next-token`: the token after each position of a sequence. Inputs and targets are int64 [N, T], `shape` is (T,),
`classes` is the size of the vocabulary, and logits are float32 [N, T, classes]."""
