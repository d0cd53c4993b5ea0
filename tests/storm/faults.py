"""The faults of the storm: each is done, and over, when its function returns."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.harness.installation import Installation
from tests.harness.node import Node
from tests.harness.program import Program, eventually
from tests.harness.proxy import FROZEN, MUTE, OPEN, REFUSING, Proxy
from tests.storm.traffic import Traffic

GIVE_UP = 180.0
UNFINISHED = "SELECT count(*) FROM outbox_message WHERE status IN ('pending', 'started')"
END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT LIKE '%%client'"""


@dataclass
class World:
    """All that can be broken."""

    installation: Installation
    workers: list[Program]
    control: Program
    beat: Program
    node: Node
    broker: Proxy
    database: Proxy
    rng: random.Random

    def recovery(self, traffic: Traffic, many: int) -> float:
        """Publish, and return how many seconds it takes until that is done."""
        last = self.installation.count("SELECT coalesce(max(id), 0) FROM outbox_message")
        began = time.monotonic()
        traffic.publish(many)
        while self.installation.count(f"{UNFINISHED} AND id > %s AND key NOT LIKE 'guilty %%%%'", last):
            if time.monotonic() - began > GIVE_UP:
                break
            time.sleep(0.2)
        return time.monotonic() - began

    def start_what_ended(self) -> list[str]:
        """Start again what has ended by itself, as a supervisor does, and say which that was and its last words."""
        ended = [program for program in [*self.workers, self.control, self.beat] if not program.is_running()]
        said = [f"{program.name} had ended: {program.said()[-200:]}" for program in ended]
        for program in ended:
            self.installation.restart(program)
        return said

    def settle_down(self) -> None:
        """Wait until everything is finished."""
        eventually(lambda: self.installation.count(UNFINISHED) == 0, within=GIVE_UP, what="everything is finished")

    def a_while(self, least: float, most: float) -> None:
        """Let a random time pass."""
        time.sleep(self.rng.uniform(least, most))


Fault = Callable[[World], None]


def kill_a_worker(world: World) -> None:
    worker = world.rng.choice(world.workers)
    worker.kill()
    world.installation.restart(worker)


def kill_all_workers(world: World) -> None:
    for worker in world.workers:
        worker.kill()
    for worker in world.workers:
        world.installation.restart(worker)


def stop_a_worker_gently(world: World) -> None:
    worker = world.rng.choice(world.workers)
    worker.terminate(within=60)
    world.installation.restart(worker)


def freeze_a_worker_beyond_its_lease(world: World) -> None:
    with world.rng.choice(world.workers).frozen():
        world.a_while(11, 15)


def kill_the_control_worker(world: World) -> None:
    world.control.kill()
    world.a_while(0, 5)
    world.installation.restart(world.control)


def kill_beat(world: World) -> None:
    world.beat.kill()
    world.a_while(0, 8)
    world.installation.restart(world.beat)


def kill_the_broker(world: World) -> None:
    world.node.kill()
    world.a_while(0, 5)
    world.node.start()


def freeze_the_broker(world: World) -> None:
    with world.node.frozen():
        world.a_while(2, 8)


def link(which: str, state: str) -> Fault:
    """Return the fault that brings one of the two links into a state for a while."""

    def fault(world: World) -> None:
        proxy = getattr(world, which)
        proxy.become(state)
        try:
            world.a_while(1, 6)
        finally:
            proxy.become(OPEN)

    return fault


def cut(which: str) -> Fault:
    """Return the fault that cuts one of the two links, again and again."""

    def fault(world: World) -> None:
        for _ in range(world.rng.randrange(1, 6)):
            getattr(world, which).cut()
            world.a_while(0, 0.5)

    return fault


def end_all_sessions(world: World) -> None:
    for _ in range(world.rng.randrange(1, 4)):
        world.installation.rows(END_SESSIONS)
        world.a_while(0, 0.5)


def delete_a_queue(world: World) -> None:
    names = ["shop.book", "shop.order", "shop.count", "control"]
    world.node.control("delete_queue", f"{world.installation.prefix}.{world.rng.choice(names)}")


FAULTS: dict[str, Fault] = {
    "a worker killed": kill_a_worker,
    "all workers killed": kill_all_workers,
    "a worker stopped gently": stop_a_worker_gently,
    "a worker frozen": freeze_a_worker_beyond_its_lease,
    "the control worker killed": kill_the_control_worker,
    "beat killed": kill_beat,
    "the broker killed": kill_the_broker,
    "the broker frozen": freeze_the_broker,
    "the broker refusing": link("broker", REFUSING),
    "the broker mute": link("broker", MUTE),
    "the broker's links frozen": link("broker", FROZEN),
    "the broker's links cut": cut("broker"),
    "the database refusing": link("database", REFUSING),
    "the database's links frozen": link("database", FROZEN),
    "the database's links cut": cut("database"),
    "all sessions ended": end_all_sessions,
    "a queue deleted": delete_a_queue,
}
