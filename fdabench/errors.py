"""Everything that fdabench raises on purpose.

FdabenchError              a message for a person; `exit_code` is what the shell sees
├── SuiteError             a suite file is wrong; carries every fault found                (2)
│   └── SuiteNotFoundError there is no such file                                           (2)
├── PluginError            a plug-in cannot be used; carries every fault found             (2)
├── UsageError             a command line asks for something that cannot be                (2)
├── WorkloadError          data or a model is missing or does not fit                      (2)
├── PartitionError         the samples cannot be shared out as asked                       (2)
├── ResultError            a results folder is missing, foreign or unreadable              (2)
├── RankDivergenceError    a strategy takes another branch in one process than in another  (3)
├── ProcessLostError       a process of a distributed run does not answer any more         (3)
└── NotComparedError       no baseline, no common cell, another schema                     (4)
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FdabenchError(Exception):
    """A fault that a person can mend; the text says where, what was found and what is allowed."""

    exit_code = 2


class UsageError(FdabenchError):
    """A command line that asks for something that cannot be."""


class WorkloadError(FdabenchError):
    """Data or a model is missing, or does not fit the workload."""


class PartitionError(FdabenchError):
    """The samples cannot be shared out over the workers as asked."""


class ResultError(FdabenchError):
    """A results folder is missing, foreign or unreadable."""


class RankDivergenceError(FdabenchError):
    """A strategy that branches on what only one process knows."""

    exit_code = 3


class ProcessLostError(FdabenchError):
    """A process that holds some of the workers is not heard of any more."""

    exit_code = 3


class NotComparedError(FdabenchError):
    """There was nothing to compare with; a gate that sees nothing stays closed."""

    exit_code = 4


class PluginError(FdabenchError):
    """A plug-in that cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(self.faults)


class SuiteError(FdabenchError):
    """A suite that cannot be run; `faults` has one line for each thing that is wrong."""

    def __init__(self, source: str, faults: Iterable[str]) -> None:
        self.source = source
        self.faults = tuple(faults)
        count = len(self.faults)
        super().__init__("\n".join([f"{source}: {count} fault{'s' * (count != 1)}", *self.faults]))


class SuiteNotFoundError(SuiteError):
    """A suite file that is not there."""

    def __init__(self, source: str) -> None:
        super().__init__(source, ["no such file"])
        self.args = (f"{source}: no such file",)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: `; did you mean 'theta'?`, or nothing."""
    name = nearest_name(word, known)
    return f"; did you mean {name!r}?" if name is not None else ""


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a word, whatever the case of both; None where no name is like it.

    A name that begins with all of the word counts as well, if the word has at least three letters.
    """
    names = {name.casefold(): name for name in known}
    wanted = word.casefold()
    begun = [name for name in names if len(wanted) >= 3 and name.startswith(wanted)]
    close = get_close_matches(wanted, list(names), n=1) or begun[:1]
    return names[close[0]] if close else None
