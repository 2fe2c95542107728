"""The paper's rules for theta: a constant for each parameter of the model, by the kind of network.

Source: M. Theologitis et al., EDBT 2025, Figure 9. The key `theta` of a suite may name a rule instead of a number.
"""

from collections.abc import Mapping

# squared L2 norm for each parameter; hpc: InfiniBand up to 56 Gbit/s, fl: a shared channel of 0.5 Gbit/s
THETA_PER_PARAMETER: Mapping[str, float] = {"hpc": 2.74e-5, "balanced": 3.89e-5, "fl": 4.91e-5}

# compares the points that the authors chose with the values of the fitted lines (Figure 9 of their notebook)
WARNING = (
    "are lines through four points that the FDA paper's authors picked by hand (Figure 9), and the largest model "
    "dominates them: for LeNet-5 they picked 0.5 / 1.5 / 5 and the lines give 1.7 / 2.4 / 3.0; for ConvNeXt-Large "
    "they give 5,400 / 7,666 / 9,676 where the paper itself uses 25 to 150. Theta is an absolute squared norm, so it "
    "depends on optimizer and learning rate as well: sweep around it"
)


def rule_of(per_parameter: float) -> str | None:
    """Return the name of the rule with this constant; None if there is none.

    Args:
        per_parameter: theta divided by the number of parameters.

    >>> rule_of(3.89e-5)
    'balanced'
    """
    return next((name for name, constant in THETA_PER_PARAMETER.items() if constant == per_parameter), None)
