"""The paper's guidance on theta: so much for each parameter of the model, by the network (EDBT 2025, Figure 9)."""

from collections.abc import Mapping

# squared L2 norm for each parameter; hpc: InfiniBand up to 56 Gbit/s, fl: a common channel of 0.5 Gbit/s
THETA_PER_PARAMETER: Mapping[str, float] = {"hpc": 2.74e-5, "balanced": 3.89e-5, "fl": 4.91e-5}

# The points that the authors picked by hand, and what the lines through them give (their notebook's Figure 9).
WARNING = (
    "are lines through four points that the FDA paper's authors picked by hand (Figure 9), and the largest model "
    "dominates them: for LeNet-5 they picked 0.5 / 1.5 / 5 and the lines give 1.7 / 2.4 / 3.0; for ConvNeXt-Large "
    "they give 5,400 / 7,666 / 9,676 where the paper itself uses 25 to 150. Theta is an absolute squared norm, so it "
    "depends on optimizer and learning rate as well: sweep around it"
)


def rule_of(per_parameter: float) -> str | None:
    """The name of a published constant; None for any other number."""
    return next((name for name, constant in THETA_PER_PARAMETER.items() if constant == per_parameter), None)
