"""Columns of hand-made ledgers."""


def reduced(payload: int) -> dict[str, str | int]:
    """What the row of an all-reduce has besides its payload."""
    return {"operation": "all_reduce", "down_bytes": payload, "slack": 0}
