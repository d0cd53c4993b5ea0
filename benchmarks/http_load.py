"""A small HTTP client of its own process: threads with a connection each, draw after draw, until the time is up.

Only to this machine.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
import uuid

from tests.harness.program import ROOT

HOST = "127.0.0.1"
THREADS = 8
ADDRESS = "/api/campaigns/bench/draws"


def draws_per_second(port: int, seconds: float) -> float:
    """Draw for ``seconds`` from another process and return how many draws per second were answered with 201."""
    argv = [sys.executable, "-m", "benchmarks.http_load", str(port), str(seconds)]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ended.returncode:
        raise SystemExit(f"the client failed:\n{ended.stderr[-2000:]}")
    return float(ended.stdout)


class Client(threading.Thread):
    """One user who draws again and again."""

    def __init__(self, port: int, until: float) -> None:
        super().__init__()
        self._port, self._until = port, until
        self.drawn = 0
        self.problem = ""

    def run(self) -> None:
        """Draw until the time is up, each time as somebody else."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        while time.monotonic() < self._until and not self.problem:
            headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
            connection.request("POST", ADDRESS, json.dumps({"person": f"{uuid.uuid4()}@example.com"}), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.client.CREATED:
                self.problem = f"{answer.status}: {body[:300]!r}"
            self.drawn += 1
        connection.close()


def main(port: int, seconds: float) -> None:
    """Run the clients and print draws per second."""
    began = time.monotonic()
    clients = [Client(port, began + seconds) for _ in range(THREADS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if problem := next((client.problem for client in clients if client.problem), ""):
        raise SystemExit(problem)
    print(sum(client.drawn for client in clients) / (time.monotonic() - began))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
