"""Every block of code in the manual and in the README is run, or is checked, and here it says why it is not run."""

import configparser
import json
import shutil
import threading
from datetime import timedelta
from textwrap import dedent
from typing import Any

import pytest
import yaml
from django.utils import timezone

from awards.models import Campaign, Kind, Prize, Sale
from outbox import Message
from outbox.broker import dispatcher
from outbox.testing import deliver_pending
from tests.docs import commands, surroundings
from tests.docs.proofs import CHECK, PROOFS
from tests.docs.reader import Reader
from tests.harness.manual import Block, blocks, page, pages
from tests.harness.program import eventually

CHECKED_ONLY = {
    "bulk": "they act on messages of the reader's; tests/outbox/bulk runs each command",
    "backup": "they restore a database, or act on consumers of the reader's",
    "compared": "they run for up to half an hour; tests/benchmarks has what they are made of",
    "editing": "they act on messages of the reader's; tests/outbox/management/test_outbox_edit.py runs each command",
    "maintenance": "they stop services, change passwords and delete tables",
    "operate": "they act on messages and consumers of the reader's; tests/outbox/operate runs each command",
    "rehearsal": "they rehearse messages of the reader's; tests/outbox/rehearsal has what is said of them",
    "runbook": "they look at servers that are in trouble, or act on messages of the reader's",
    "this-project": "they need root, Docker or services of their own; tests/system/processes runs demo, up and start",
}
"""Pages whose commands are not run, but looked at: each with the reason."""

NO_CODE = {"", "text"}
"""Languages of blocks that are not code: what was written by the block before."""

RUN_BY = {
    "tutorial": "test_the_tutorial_leads_from_an_empty_folder_to_effects_that_are_there_once",
    "adopt": "test_who_follows_the_page_on_adopting_has_his_messages_delivered",
    "api": "test_the_calls_of_the_page_on_the_api_are_answered",
    "forwarding": "test_plain_receivers_get_what_the_page_on_forwarding_sends",
    "flash-sales": "test_the_program_of_the_page_on_flash_sales_draws_in_a_queue",
    "promotions": "test_the_check_of_the_page_on_promotions_refuses_what_it_says_and_its_commands_are_there",
    "shop-api": "test_the_receiver_of_the_page_on_the_shop_s_api_is_code_and_its_commands_are_there",
    "receipts": "test_the_receipts_of_the_page_s_plain_receiver_are_believed",
    **dict.fromkeys(PROOFS, "test_the_code_of_a_page_does_what_it_says"),
}
"""Pages whose code is run, and the test that does it, here or in test_followed.py if nothing else is said."""


@pytest.mark.parametrize("name", PROOFS)
def test_the_code_of_a_page_does_what_it_says(name, adopted, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(adopted, folder)
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings"}
    with Reader(folder, environment=environment, prelude=surroundings.PRELUDE) as reader:
        reader.follow(blocks(page(name)), proof=f"{CHECK}\n{dedent(PROOFS[name])}")


def test_the_check_of_the_page_on_promotions_refuses_what_it_says_and_its_commands_are_there():
    written: dict[str, Any] = {}
    for block in blocks(page("promotions")):
        if block.language == "python":
            exec(block.text, written)
        else:
            commands.check(block)
    asked = {"campaign": "summer", "address": "127.0.0.1", "client": ""}

    assert written["check"](person="a@throwaway.example", **asked) == "throwaway_address"
    assert written["check"](person="anna@example.com", **asked) is None


@pytest.mark.django_db(transaction=True)
def test_the_program_of_the_page_on_flash_sales_draws_in_a_queue(live_server, monkeypatch):
    written: dict[str, Any] = {}
    for block in blocks(page("flash-sales")):
        if block.language == "python":
            exec(block.text, written)
        else:
            commands.check(block)
    monkeypatch.setattr(dispatcher, "dispatch", lambda ids: None)
    span = timedelta(hours=1)
    now = timezone.now()
    campaign = Campaign.objects.create(
        slug="summer", name="Summer", access="open", starts_at=now - span, ends_at=now + span
    )
    Prize.objects.create(campaign=campaign, name="50 points", kind=Kind.POINTS, value=50, stock=1)
    Sale.objects.create(campaign=campaign, queues=True)
    told: list[dict[str, Any]] = []
    address = f"{live_server.url}/api/campaigns/summer"
    program = threading.Thread(target=lambda: told.append(written["draw"](address, "anna", "request-1")))
    program.start()

    eventually(lambda: Message.objects.filter(topic="sale.draw").exists(), within=10, what="it waits")
    deliver_pending("awards.draw_queued")
    program.join(20)

    assert [answer["outcome"] for answer in told] == ["won"]


def test_the_receiver_of_the_page_on_the_shop_s_api_is_code_and_its_commands_are_there():
    """tests/awards/clients/test_webhook_signatures.py has it verify what is really sent."""
    written: dict[str, Any] = {}
    for block in blocks(page("shop-api")):
        if block.language == "python":
            exec(block.text, written)
        elif block.language == "sh":
            commands.check(block)
    told = {"data": {"award": "1", "version": 2}}
    versions: dict[str, int] = {}

    assert [written["is_news"](told, versions) for _turn in range(2)] == [True, False]


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_block_of_code_is_run_or_is_checked(path):
    for block in blocks(path):
        match block.language:
            case "python":
                compile(block.text, str(block), "exec")
                assert path.stem in RUN_BY, f"{block} is run by no test"
            case "sh" if path.stem in RUN_BY:
                pass
            case "sh":
                assert path.stem in CHECKED_ONLY, f"{block} is neither run nor checked"
                commands.check(block)
            case "json":
                json.loads(block.text)
            case "ini":
                check_units(block)
            case "yaml":
                yaml.safe_load(block.text)
            case language:
                assert language in NO_CODE, f"{block}: nobody knows what to do with {language!r}"


def check_units(block: Block) -> None:
    """See that the file can be read, and that the commands in it are there."""
    file = configparser.RawConfigParser(strict=True)
    file.optionxform = str
    file.read_string(block.text)
    for section in file.sections():
        for name, value in file.items(section):
            if name in ("ExecStart", "command") and "celery" in value:
                commands.check(Block(block.page, block.line, "sh", "", value))
