"""The stage of one night: an installation, a vendor that is closed at first, and who sits at the desk."""

import secrets
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Locator, expect

from config.processes.arguments import free_port
from tests.harness.installation import Installation
from tests.harness.program import Program, eventually
from tests.system.running.processes import NO_TLS, Web, manage

GIFTS, POINTS, OTHERS = "night.gift", "night.points", "night.other"
THINGS = ("till", "scale", "printer", "drawer", "belt", "lamp", "scanner", "terminal")
STATES = ("jammed", "cold", "loose", "silent", "crooked")
CAUSES = [f"the {thing} is {state}" for thing, state in product(THINGS, STATES)]
"""Forty, none of which differs from another by numbers only."""
MAKE_LEAD = """
from django.contrib.auth.models import Group, User
User.objects.create_user("nora", password={password!r}, is_staff=True).groups.add(Group.objects.get(name="Outbox lead"))
"""
COPY_ONE = """
INSERT INTO outbox_message (key, {columns})
SELECT 'done ' || n, {columns} FROM outbox_message, generate_series(1, %s) n
WHERE id = (SELECT max(id) FROM outbox_message WHERE status = 'success')
"""
COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_name = 'outbox_message' AND column_name NOT IN ('id', 'key', 'drawn_key') AND is_generated = 'NEVER'
"""
STUCK = "SELECT count(*) FROM outbox_message WHERE exhausted_at IS NOT NULL AND topic LIKE 'night.%%'"


@dataclass(frozen=True, slots=True)
class Size:
    """How many gifts, points and messages of causes of their own there are, and how many messages are long done."""

    gifts: int
    points: int
    others: int
    done: int

    @property
    def stuck(self) -> int:
        """How many wait for whoever sits at the desk."""
        return self.gifts + self.points + self.others


class Night:
    """What runs, and what the books of the others say in the morning."""

    def __init__(self, site: Installation, folder: Path, size: Size) -> None:
        self.site, self.size = site, size
        self.password = secrets.token_urlsafe()
        port = free_port()
        self.vendor_url = f"http://127.0.0.1:{port}"
        site.environment["NIGHT_VENDOR"] = self.vendor_url
        # Before it is open it answers everybody that it is busy.
        closed = ["--port", str(port), "--book", str(folder / "book"), "--busy", "1", "--delay", "0.05"]
        vendor = Program(
            "vendor",
            [sys.executable, "manage.py", "fake_vendor", *closed],
            environment=site.environment,
            log=folder / "vendor.log",
        )
        site.programs.append(vendor)
        self.workers = [site.worker("worker-1"), site.worker("worker-2")]
        site.control(), site.beat()
        plain = {"SESSION_COOKIE_SECURE": "0", "CSRF_COOKIE_SECURE": "0"}
        self.web = Web(site, folder, ["start", "web"], **plain)
        manage(self.web.environment, "collectstatic", "--no-input")
        manage(site.environment, "shell", "-c", MAKE_LEAD.format(password=self.password))
        vendor.wait_for("ready")
        self.web.wait_until_served()

    def fall(self) -> None:
        """Publish everything, and wait until all of it has failed for good."""
        size, client = self.size, self.site.client()
        client.publish("shop.sold", ["done 0"])
        self.site.wait_until_finished("done ", count=1)
        [(columns,)] = self.site.rows(COLUMNS)
        self.site.rows(COPY_ONE.format(columns=columns), size.done)
        client.publish(GIFTS, [f"gift {n}" for n in range(size.gifts)], {"gift": "mug"}, per_commit=500)
        client.publish(POINTS, [f"points {n}" for n in range(size.points)], {"amount": 1}, per_commit=500)
        others = {f"other {n}": {"why": why} for n, why in enumerate(CAUSES[: size.others])}
        client.publish(OTHERS, list(others), each=others)
        eventually(lambda: self.stuck() == size.stuck, within=60 + size.stuck / 50, what="all has failed", every=0.5)

    def open_the_vendor(self) -> None:
        """Have the vendor take orders from now on."""
        httpx.post(f"{self.vendor_url}/control", json={"busy": 0.0}, verify=NO_TLS, timeout=30).raise_for_status()

    def kill_a_worker_and_the_desk(self) -> None:
        """SIGKILL both, and start them again, as a supervisor does."""
        for program in (self.workers[0], self.web):
            program.kill()
            program.start()
        self.web.wait_until_served()

    def stuck(self) -> int:
        """Return how many messages wait for somebody."""
        return self.site.count(STUCK)

    def orders(self) -> Counter[str]:
        """Return how many orders the vendor has of each gift."""
        book = httpx.get(f"{self.vendor_url}/book", timeout=60, verify=NO_TLS).json()
        return Counter(order["recipient"] for order in book)

    def credits(self) -> Counter[str]:
        """Return how often each key was credited its points."""
        credited = "SELECT key, count(*) FROM shop_effect WHERE key LIKE 'points %%' GROUP BY key"
        return Counter(dict(self.site.rows(credited)))


class Nora:
    """Who sits at the desk tonight; each click of hers that leads on is a decision."""

    def __init__(self, browser: Browser, night: Night, *, locale: str) -> None:
        self.page, self.night = browser.new_page(locale=locale, viewport={"width": 1200, "height": 900}), night
        self.decisions = 0
        page = self.page
        page.goto(f"{night.web.address}/admin/outbox/")
        page.locator("#id_username").fill("nora")
        page.locator("#id_password").fill(night.password)
        page.locator("[type=submit]").click()

    def goes_to(self, address: str) -> None:
        """Open a page of the desk."""
        self.page.goto(f"{self.night.web.address}{address}")

    def decides(self, selector: str) -> None:
        """Click on what leads on, and count it."""
        self.decisions += 1
        self.page.locator(selector).click()

    def fills(self, name: str, text: str) -> None:
        """Fill in a field of the form that is open."""
        self.page.locator(f"[name={name}]:visible").fill(text)

    def sees(self, selector: str, *, within: float = 10.0) -> Locator:
        """Wait until something is on the page."""
        found = self.page.locator(selector).first
        expect(found).to_be_visible(timeout=within * 1000)
        return found
