"""The audit can be checked from a shell, and written out before its oldest entries go."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from outbox import audit
from outbox.models import AuditEntry
from tests.harness.clock import HOUR
from tests.outbox.audit.entries import YEAR, append_actions, as_its_owner

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_it_says_that_the_chain_is_whole_and_its_last_hash(capsys: Any):
    append_actions(HOUR)

    call_command("outbox_audit")

    out, err = capsys.readouterr()
    assert (out, err) == ("", f"the chain is whole, its last hash is {audit.last_digest()}\n")


def test_a_broken_chain_is_an_exit_status_and_the_entry_is_named(capsys: Any):
    _first, second, _third = append_actions(3 * HOUR, 2 * HOUR, HOUR)
    as_its_owner(f"UPDATE outbox_auditentry SET actor = 'nobody' WHERE id = {second}")

    with pytest.raises(SystemExit) as ended:
        call_command("outbox_audit")

    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"the chain breaks at entry {second}:")


def test_what_it_prints_is_every_entry_and_after_pruning_only_what_is_new(capsys: Any):
    append_actions(2 * YEAR, HOUR)
    call_command("outbox_audit", "--json")
    first = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    audit.prune_entries(older_than=YEAR)

    call_command("outbox_audit", "--json", "--after", str(first[-1]["id"]))

    more = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    archived = [*first, *more]
    assert [entry["action"] for entry in archived] == ["retry", "retry", "prune"]
    assert [entry["previous"] for entry in archived[1:]] == [entry["digest"] for entry in archived[:-1]]
    assert set(AuditEntry.objects.values_list("digest", flat=True)) == {entry["digest"] for entry in archived[1:]}
