"""The practice vendor itself, as the real process it is: its book is the oracle, so it must be beyond doubt."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.core.management import CommandError, call_command

from awards.fake_vendor.book import Book, KeyReused, RequestedOrder
from awards.fake_vendor.modes import FaultInjector, InjectedFault, Modes

WANTED = {"sku": "MUG-01", "recipient": "anna", "award": "award-1"}


@pytest.fixture
def started(tmp_path):
    """Start vendors as processes; return their addresses."""
    processes = []

    def start(*options: str) -> tuple[str, subprocess.Popen[str]]:
        argv = [sys.executable, "manage.py", "fake_vendor", "--port", "0", "--book", str(tmp_path / "book"), *options]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process.stdout.readline().split()[-1], process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def order(address: str, key: str = "key-1", **changes) -> httpx.Response:
    return httpx.post(f"{address}/orders", json={**WANTED, **changes}, headers={"Idempotency-Key": key}, timeout=5)


@pytest.mark.processes
def test_the_process_ships_once_per_key_and_its_book_survives_a_kill(started):
    address, process = started("--seed", "7")

    answers = [
        order(address),
        order(address),
        order(address, sku="PEN-02"),
        order(address, sku="DISCONTINUED", key="k"),
    ]
    process.send_signal(signal.SIGKILL)
    process.wait()
    address, _process = started()
    book = httpx.get(f"{address}/book").json()

    assert [answer.status_code for answer in answers] == [201, 200, 409, 422]
    assert answers[0].json() == answers[1].json()
    assert book == [{"order_number": "V-0000001", "idempotency_key": "key-1", **WANTED}]
    assert httpx.get(f"{address}/orders/key-1").json() == book[0]
    assert httpx.get(f"{address}/orders/key-2").status_code == 404


@pytest.mark.processes
def test_sigterm_ends_it_cleanly_even_while_a_request_hangs(started):
    address, process = started("--hang", "1", "--hang-seconds", "60")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(order, address)
        while not httpx.get(f"{address}/book").json():
            time.sleep(0.05)

        process.terminate()

        assert process.wait(timeout=10) == 0
        assert isinstance(hanging.exception(), httpx.TransportError)


@pytest.mark.processes
def test_its_modes_are_changed_while_it_runs(started):
    address, _process = started("--refuse", "MUG-01")

    before = order(address).status_code
    changed = httpx.post(f"{address}/control", json={"refuse": [], "forgetful": True}).json()
    after = [order(address).status_code for _ in range(2)]

    assert before == 422
    assert changed["modes"]["forgetful"] is True
    assert after == [201, 201]
    assert len(httpx.get(f"{address}/book").json()) == 2
    assert httpx.get(f"{address}/control").json()["happened"] == {"none": 3}


@pytest.mark.parametrize(
    "changes", [{"busy": 2}, {"fail": -0.1}, {"cut": "often"}, {"speed": 1}, {"refuse": "MUG"}, []]
)
def test_modes_that_make_no_sense_are_refused(vendor, changes):
    before = vendor.modes

    response = httpx.post(f"{vendor.url}/control", json=changes)

    assert response.status_code == 400
    assert vendor.modes == before


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (WANTED, {}),
        (WANTED, {"Idempotency-Key": "x" * 201}),
        ({**WANTED, "sku": 7}, {"Idempotency-Key": "key"}),
        ({**WANTED, "recipient": ""}, {"Idempotency-Key": "key"}),
        ([], {"Idempotency-Key": "key"}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(vendor, body, headers):
    assert httpx.post(f"{vendor.url}/orders", json=body, headers=headers).status_code == 400
    assert not vendor.book.everything()


def test_an_oversized_order_is_refused_without_reading_it(vendor):
    response = httpx.post(f"{vendor.url}/orders", content=b" " * 70_000, headers={"Idempotency-Key": "key"})

    assert response.status_code == 400


def test_many_orders_at_once_under_one_key_are_shipped_once(vendor):
    threads = [threading.Thread(target=order, args=(vendor.url,)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(vendor.book.everything()) == 1


def test_each_fault_happens_as_often_as_it_was_told_and_the_same_for_the_same_seed():
    modes = Modes(busy=0.1, fail=0.2, hang=0.3, cut=0.15)
    once, again = (
        [injector.next_fault(modes) for _ in range(4000)] for injector in (FaultInjector(7), FaultInjector(7))
    )

    shares = {fault: once.count(fault) / len(once) for fault in InjectedFault}

    assert once == again
    expected = {
        InjectedFault.BUSY: 0.1,
        InjectedFault.FAIL: 0.2,
        InjectedFault.HANG: 0.3,
        InjectedFault.CUT: 0.15,
        InjectedFault.NONE: 0.25,
    }
    assert shares == {fault: pytest.approx(share, abs=0.03) for fault, share in expected.items()}


def test_the_book_keeps_an_order_on_disk_before_it_answers(tmp_path):
    book = Book(tmp_path / "book")
    wanted = RequestedOrder(**WANTED)

    shipped, new = book.ship("key-1", wanted)
    seen_by_others = sqlite3.connect(tmp_path / "book").execute("SELECT key, award FROM shipped").fetchall()

    assert new
    assert seen_by_others == [("key-1", "award-1")]
    assert book.find("key-1") == shipped
    with pytest.raises(KeyReused):
        book.ship("key-1", RequestedOrder(sku="PEN-02", recipient="anna", award="award-1"))
    book.close()


@pytest.mark.parametrize("options", [["--busy", "1.5"], ["--fail", "0.6", "--cut", "0.6"], ["--delay", "-1"]])
def test_options_that_make_no_sense_end_the_command_with_a_sentence(options):
    with pytest.raises(CommandError, match="from 0 to"):
        call_command("fake_vendor", "--port", "0", *options)


def test_a_port_that_is_taken_ends_the_command_with_a_sentence(vendor, tmp_path):
    with pytest.raises(CommandError, match="cannot listen"):
        call_command("fake_vendor", "--port", str(vendor.server_port), "--book", str(tmp_path / "other"))
