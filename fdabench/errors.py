"""The exceptions that fdabench raises for its users. Any other exception is a bug.

FdabenchError              base class; `exit_code` is the exit status of the command, in parentheses below
├── SuiteError             a suite file is invalid; lists every fault                      (2)
│   └── SuiteNotFoundError the suite file does not exist                                   (2)
├── PluginError            a plug-in cannot be used; lists every fault                     (2)
├── UsageError             the options of a command are invalid or conflict                (2)
├── WorkloadError          data or a model is missing, or they do not fit together         (2)
├── PartitionError         the samples cannot be partitioned as requested                  (2)
├── ResultError            a results folder is missing, unreadable or not fdabench's       (2)
├── RankDivergenceError    ranks issued different collectives                              (3)
├── ProcessLostError       a process of a distributed run exited or does not respond       (3)
└── NotComparedError       there is nothing to compare: no baseline, cell or known schema  (4)
"""

import json
from collections.abc import Iterable
from difflib import get_close_matches


class FdabenchError(Exception):
    """Base class of errors that a user can fix. The message says where the fault is, its value and what is allowed."""

    exit_code = 2


class UsageError(FdabenchError):
    """The options of a command are invalid or conflict."""


class WorkloadError(FdabenchError):
    """Data or a model is missing, or they do not fit together."""


class PartitionError(FdabenchError):
    """The samples cannot be partitioned over the workers as requested."""


class ResultError(FdabenchError):
    """A results folder is missing, unreadable or was not written by fdabench."""


class RankDivergenceError(FdabenchError):
    """Ranks issued different collectives: the strategy branched on rank-local data."""

    exit_code = 3


class ProcessLostError(FdabenchError):
    """A process of a distributed run exited, or did not respond within the timeout."""

    exit_code = 3


class NotComparedError(FdabenchError):
    """The gate found nothing to compare, which fails the check: no baseline, no common cell, or another schema."""

    exit_code = 4


class PluginError(FdabenchError):
    """A plug-in cannot be used; `faults` has one line for each fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(self.faults)


class SuiteError(FdabenchError):
    """A suite file is invalid; `faults` has one line for each fault, `source` is the name of the file."""

    def __init__(self, source: str, faults: Iterable[str]) -> None:
        self.source = source
        self.faults = tuple(faults)
        count = len(self.faults)
        super().__init__("\n".join([f"{source}: {count} fault{'s' * (count != 1)}", *self.faults]))


class SuiteNotFoundError(SuiteError):
    """The suite file does not exist."""

    def __init__(self, source: str) -> None:
        super().__init__(source, ["no such file"])
        self.args = (f"{source}: no such file",)


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A hint for a misspelled name, as the end of a sentence; empty if no known name is similar.

    The name is quoted as TOML quotes it. Case is ignored. A name that begins with `word` is similar as well, if `word`
    has at least three letters.

    >>> did_you_mean("thetta", ["theta", "period"])
    '; did you mean "theta"?'
    >>> did_you_mean("x", ["theta", "period"])
    ''
    """
    names = {name.casefold(): name for name in allowed}
    folded = word.casefold()
    with_prefix = [name for name in names if len(folded) >= 3 and name.startswith(folded)]
    similar = get_close_matches(folded, list(names), n=1) or with_prefix[:1]
    return f"; did you mean {json.dumps(names[similar[0]], ensure_ascii=False)}?" if similar else ""
