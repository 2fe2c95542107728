"""Synthetic results with the recorded syncs that the figures of syncs need."""

from dataclasses import replace

from fdabench.analysis.data import ReportData


def with_recorded_syncs(data: ReportData) -> dict[str, ReportData]:
    """Results by the figure that can be drawn of them: lr falls, theta grows, and half of each message is left out."""
    rounds = data.rounds
    columns = {
        "round-length": rounds.assign(lr=0.1 / rounds["step"]),
        "theta": rounds.assign(theta=rounds["theta"] * rounds["step"]),
        "residuals": rounds.assign(residual=0.5),
    }
    return {name: replace(data, rounds=frame) for name, frame in columns.items()}
