"""Cells over several processes: those that `run` starts itself, or those that torchrun has started."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.catalogue.load import packed
from fdabench.cli.parts import parse_duration
from fdabench.errors import UsageError
from fdabench.run.distributed import Plan, Table, from_environment, hosted, parse_mean, parse_wire
from fdabench.run.follow import Kit, follow
from fdabench.run.ready import parse_device, parse_engine
from fdabench.run.shared import load_all, on_disk
from fdabench.run.watched import watched
from fdabench.suite.reader import Expanded

DISTRIBUTED = "distributed"


class Asked(NamedTuple):
    """What the command line of `run` says of them."""

    processes: int | None
    mean: str
    timeout: str
    measure_wire: str | None


@dataclass(frozen=True)
class Team:
    """This process among those of a run."""

    plan: Plan
    store: Any = None
    """Held for as long as the run lasts, where this process is the one to serve it."""

    def plan_of(self, index: int) -> Plan:
        """For the suite at this place of the command line: each has a team of its own."""
        outside = self.plan.outside
        if outside is None:
            return self.plan
        return self.plan._replace(outside=replace(outside, name=f"{outside.name}/{index}"))


def parse_team(engine: str, asked: Asked) -> Team | None:
    """None where one process holds all workers.

    Raises:
        UsageError: not to be had, or said of a run that is not distributed.
    """
    mean, timeout_s = parse_mean(asked.mean), parse_duration("--timeout", asked.timeout)
    if engine != DISTRIBUTED:
        told = {"--processes": asked.processes, "--measure-wire": asked.measure_wire}
        for option, value in told.items():
            if value is not None:
                raise UsageError(f"{option} {value}: that is for --engine {DISTRIBUTED}")
        return None
    wire = parse_wire(asked.measure_wire)
    found = from_environment(os.environ, timeout_s)
    if found is None:
        if asked.processes is None:
            raise UsageError(f"--engine {DISTRIBUTED}: say --processes N, or start it with torchrun")
        return Team(Plan(asked.processes, mean, timeout_s, wire=wire))
    rank, meeting = found
    if asked.processes not in (None, meeting.size):
        raise UsageError(f"--processes {asked.processes}: {meeting.size} have been started; leave it away")
    store = hosted(meeting, rank, os.environ)
    return Team(Plan(meeting.size, mean, timeout_s, meeting, store is not None, wire, rank), store)


def follow_suites(suites: Sequence[Expanded], team: Team, device: str, threads: int, data_root: Path) -> None:
    """Do what the process of rank 0 orders, suite by suite. It heeds signals for all, and stops them at one step."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    on = parse_device(device)
    for index, suite in enumerate(suites):
        names = [cell.config["dataset"] for cell in suite.cells]
        own = watched(names, data_root, suite.catalogue)
        data = load_all(names, data_root, own.catalogue, own.data)
        with on_disk(data) as folder:
            del data
            kit = Kit(folder, on, parse_engine("auto", on), max(1, threads), packed(own.catalogue))
            outside = team.plan_of(index).outside
            if outside is not None:
                follow(kit, Table(outside, team.plan.mean, team.plan.wire), team.plan.rank)
