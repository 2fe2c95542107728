"""Keys of other tools, and the keys of a suite that replace them, for the error message about an unknown key."""

from collections.abc import Collection, Mapping

_PERIOD = "the period of a round is local_steps or local_epochs, of strategies that have one"
KEYS_OF_OTHER_TOOLS: Mapping[str, str] = {
    "num_clients": "workers",
    "clients": "workers",
    "learning_rate": "lr",
    "local_iters": "local_steps",
    "period": _PERIOD,
    "h": _PERIOD,
    "tau": _PERIOD,
    "rounds": "rounds are not counted beforehand: a budget is in steps or epochs",
    "sync": "when to synchronize is the kind of the strategy and its keys",
    "server_lr": "write server = { lr = 0.1 }, of strategies that have a server",
    "lr_schedule": "it is no key of a suite: a plug-in's optimizer can have one",
}
"""By key in lower case: the key of a suite with the same meaning, or a sentence that says what to write instead."""


def suggest_replacement(key: str, allowed: Collection[str]) -> str:
    """The end of the error message for a key of another tool; empty for other keys.

    Args:
        key: the unknown key.
        allowed: the keys that its table has. A key that is not among them is not suggested.

    >>> suggest_replacement("num_clients", ["workers", "batch_size"])
    '; did you mean "workers"?'
    >>> suggest_replacement("num_clients", ["steps", "epochs"])
    ''
    """
    word = KEYS_OF_OTHER_TOOLS.get(key.casefold(), "")
    if not word or " " in word:
        return f"; {word}" if word else ""
    return f'; did you mean "{word}"?' if word in allowed else ""
