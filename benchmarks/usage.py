"""What a contestant's worker processes take while they run: CPU time, theirs and the database's, and connections.

A connection to the database is counted where both ends are seen: as a row of ``pg_stat_activity`` with the port of its
client, and as that port open in one of the worker processes. The address of the database is one of TCP.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from benchmarks.contestant import Contestant

BACKENDS = "SELECT pid, client_port FROM pg_stat_activity WHERE datname = current_database() AND client_port > 0"
WORKER = "worker"
"""What the names of services begin with whose processes make the calls."""


@dataclass
class Usage:
    """What was seen so far; CPU seconds count from the first look on, or from when the process was begun."""

    connections: Counter[int] = field(default_factory=Counter)
    """The most connections at once, by process."""
    processes: dict[int, float] = field(default_factory=dict)
    backends: dict[int, float] = field(default_factory=dict)
    _found: dict[int, float] = field(default_factory=dict)
    _looked: bool = False

    def look(self, contestant: Contestant) -> None:
        """Look at the processes of the contestant's workers, and at its backends."""
        programs = [program for program in contestant.programs if program.name.startswith(WORKER)]
        family = [process for program in programs for process in program.family()]
        backends: dict[int, int] = dict(contestant.database.rows(BACKENDS))
        self.connections |= count_connections(_ports_by_process(family), backends.values())
        for process in family:
            self._note_cpu(self.processes, process)
        for pid in backends:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._note_cpu(self.backends, psutil.Process(pid))
        self._looked = True

    def _note_cpu(self, seconds: dict[int, float], process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            taken = times.user + times.system
            # What a process had taken before the first look is its start.
            found = self._found.setdefault(process.pid, 0.0 if self._looked else taken)
            seconds[process.pid] = taken - found


def count_connections(ports: Mapping[int, Iterable[int]], clients: Iterable[int]) -> Counter[int]:
    """Return how many of the database's ``clients``, which are ports, each process is."""
    known = set(clients)
    return Counter({pid: len(known.intersection(own)) for pid, own in ports.items()})


def _ports_by_process(family: Iterable[psutil.Process]) -> dict[int, set[int]]:
    ports: dict[int, set[int]] = {}
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            ports[process.pid] = {connection.laddr.port for connection in process.net_connections("tcp")}
    return ports
