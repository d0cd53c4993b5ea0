"""A supervisor with two roles, each of which has a child, until a signal comes."""

import signal
import sys
from datetime import timedelta
from pathlib import Path

from config.processes.supervisor import Role, Supervisor, ToldToStop, stopping_on_signals

SCRIPT = "sleep 1000 & echo up; wait"

roles = [Role(name, ["/bin/sh", "-c", SCRIPT], ready="up") for name in ("left", "right")]
try:
    with stopping_on_signals(), Supervisor(roles, logs=Path(sys.argv[1])) as supervisor:
        for role in roles:
            supervisor.wait_until_ready(role.name, within=timedelta(seconds=10))
        sys.stdout.write("up\n")
        sys.stdout.flush()
        while True:
            signal.pause()
except ToldToStop:
    sys.exit(0)
