"""Are the tests worth anything? Break each odd rule of the engine in a copy, and demand that its tests go red.

``python tests/planted_bugs.py [word …]`` plants every bug, or those whose rule contains a word, one at a time. It needs
PostgreSQL. A replacement must fit the code exactly once, and a test must fail (not merely stumble over an import), so
that this table breaks loudly when the code moves on.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.run import BROKER, DATABASE, drop_databases  # noqa: E402  # the path must be set first

NAME = f"planted_{os.getpid()}"
LEFT_OUT = (".git", ".venv", ".makegood", ".hypothesis", "__pycache__", ".*_cache", "staticfiles")


@dataclass(frozen=True)
class Change:
    """One replacement in one file of ``outbox/``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """A rule, the code that breaks it, and the tests that must notice: ``module::test`` under ``tests/engine``."""

    rule: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


def bug(rule: str, *changes: Change, red: Sequence[str]) -> Bug:
    return Bug(rule, changes, tuple(red))


BUGS = [
    bug(
        "no attempt starts before its time",
        Change("models/queryset.py", "status=Status.PENDING, not_before__lte=Now(), ", "status=Status.PENDING, "),
        red=["test_delivery::test_a_duplicate_hint_does_not_start_a_message_before_its_time"],
    ),
    bug(
        "no attempt starts after the deadline",
        Change("models/queryset.py", "not_before__lte=Now(), expires_at__gt=Now())", "not_before__lte=Now())"),
        red=["test_recovery::test_a_message_is_not_started_after_its_deadline"],
    ),
    bug(
        "a lost row starts only if the hint names it alone",
        Change("delivery/chunks.py", "Start(ready if alone else ready.filter(lost=0))", "Start(ready)"),
        red=["test_chunks::test_a_lost_row_is_not_started_by_a_hint_of_several"],
    ),
    bug(
        "a lost row starts alone, without a top-up",
        Change("delivery/chunks.py", "alone, full = any(row.lost for row in rows), ", "alone, full = False, "),
        red=["test_chunks::test_a_lost_row_starts_alone_without_a_top_up"],
    ),
    bug(
        "a hint whose time is up sends another in its place",
        Change("delivery/chunks.py", "        dispatcher.dispatch({consumer.name: ()})\n", "        pass\n"),
        red=["test_chunks::test_a_hint_whose_time_is_up_sends_another_in_its_place"],
    ),
    bug(
        "a hint leaves its place to others when its time is up",
        Change("delivery/chunks.py", "rows, until = [], began + conf().hint_time.total_seconds()", "rows = []"),
        red=["test_chunks::test_a_hint_whose_time_is_up_sends_another_in_its_place"],
    ),
    bug(
        "a queue that workers empty is filled again in the same pass",
        Change("maintenance/rescan.py", "< STAYS_FULL:", "< 0:"),
        red=["test_rescan::test_a_queue_that_workers_empty_is_filled_again_in_the_same_pass_when_half_of_it_is_free"],
    ),
    bug(
        "a queue that stays full is left to the next pass",
        Change("maintenance/rescan.py", "STAYS_FULL = 0.1", "STAYS_FULL = 3600.0"),
        red=["test_rescan::test_a_queue_that_stays_full_is_left_to_the_next_pass_long_before_this_one_is_over"],
    ),
    bug(
        "a top-up takes no lost rows",
        Change("delivery/chunks.py", "canary=False).filter(lost=0).due", "canary=False).due"),
        red=["test_chunks::test_a_top_up_leaves_what_is_not_due_soon_lost_held_by_others_or_of_another_consumer"],
    ),
    bug(
        "a lost row travels alone",
        Change(
            "maintenance/rescan.py",
            "sound = [row.id for row in rows if not row.lost]",
            "sound = [row.id for row in rows]",
        ),
        Change("maintenance/rescan.py", "[*((row.id,) for row in rows if row.lost), *chunks]", "chunks"),
        red=["test_rescan::test_lost_rows_travel_alone"],
    ),
    bug(
        "the first loss in a row is free",
        Change("policy.py", "return Again(ZERO, free=True, lost=1)", "return Again(ZERO, free=False, lost=1)"),
        red=["test_recovery::test_the_first_loss_is_free_and_the_row_is_due_at_once"],
    ),
    bug(
        "later losses count",
        Change("policy.py", "case WorkerLost() if counters.lost == 0:", "case WorkerLost() if counters.lost < 99:"),
        red=["test_recovery::test_losses_in_a_row_count_from_the_second_and_are_exhausted_at_the_limit"],
    ),
    bug(
        "a row given back has spent no attempt",
        Change(
            "policy.py", "Again(ZERO, free=True, lost=counters.lost)", "Again(ZERO, free=False, lost=counters.lost)"
        ),
        red=["test_chunks::test_when_the_time_is_up_the_rest_goes_back_without_having_spent_an_attempt"],
    ),
    bug(
        "a chunk does at least one row",
        Change(
            "delivery/chunks.py",
            "if turn and monotonic() >= until:\n                    reports",
            "if monotonic() >= until:\n                    reports",
        ),
        red=["test_chunks::test_a_chunk_that_has_waited_for_its_turn_still_does_at_least_one_row"],
    ),
    bug(
        "Snooze spends no attempt",
        Change("policy.py", "return Again(after, free=True)", "return Again(after, free=False)"),
        red=["test_delivery::test_snooze_waits_as_long_as_it_says_and_spends_no_attempt"],
    ),
    bug(
        "Unavailable spends no attempt",
        Change("policy.py", "max(after, LONGEST_PROBE)), free=True)", "max(after, LONGEST_PROBE)), free=False)"),
        red=["test_delivery::test_unavailable_spends_no_attempt"],
    ),
    bug(
        "recovery leaves to the next pass what its time does not allow",
        Change(
            "maintenance/recovery.py",
            "until = monotonic() + conf().rescan_budget.total_seconds()",
            'until = float("inf")',
        ),
        red=[
            "test_recovery::test_when_its_time_is_up_the_rest_fails_in_the_next_passes_and_each_pass_has_succeeded",
            "test_recovery::test_when_its_time_is_up_the_other_lost_rows_are_brought_back_in_the_next_pass",
        ],
    ),
    bug(
        "a send counts only into an empty queue",
        Change("maintenance/rescan.py", 'sends=F("sends") + (1 if counted else 0))', 'sends=F("sends") + 1)'),
        red=["test_rescan::test_a_send_counts_only_into_an_empty_queue"],
    ),
    bug(
        "a send that was not confirmed is taken back",
        Change("maintenance/rescan.py", 'sends=Greatest(F("sends") - (1 if counted else 0), 0)', 'sends=F("sends")'),
        red=["test_rescan::test_a_counted_send_is_taken_back_when_the_broker_did_not_take_the_hint"],
    ),
    bug(
        "a start resets the sends",
        Change(
            "models/sql/statements.py",
            "attempts = message.attempts + 1, sends = 0, ",
            "attempts = message.attempts + 1, ",
        ),
        red=["test_rescan::test_a_start_resets_the_sends"],
    ),
    bug(
        "the send limit fails nothing while hints wait",
        Change(
            "maintenance/rescan.py",
            "if counted and row.sends >= conf().send_limit",
            "if row.sends >= conf().send_limit",
        ),
        red=["test_rescan::test_the_send_limit_fails_nothing_while_hints_wait_in_the_queue"],
    ),
    bug(
        "due_at is pushed before sending",
        Change(
            "maintenance/rescan.py",
            "claimed.update(due_at=Now() + conf().resend_after, sends=",
            "claimed.update(sends=",
        ),
        red=[
            "test_rescan::test_due_times_are_pushed_and_committed_before_anything_is_sent",
            "test_rescan::test_four_overlapping_rescans_send_every_row_once",
        ],
    ),
    bug(
        "a stale result is refused",
        Change("delivery/settling.py", "succeed(succeeded) != len(succeeded)", "succeed(succeeded) > len(succeeded)"),
        red=["test_outside::test_a_stale_success_is_refused_and_kept_as_late"],
    ),
    bug(
        "a stale failure is refused",
        Change("delivery/settling.py", "    if not changed:\n", "    if changed is None:\n"),
        red=["test_outside::test_a_stale_failure_is_refused_and_kept_as_late"],
    ),
    bug(
        "a refused result is kept as late",
        Change(
            "delivery/non_atomic.py",
            "    except Superseded:\n        settling.record_late(report)\n        return\n",
            "    except Superseded:\n        return\n",
        ),
        red=["test_outside::test_a_stale_success_is_refused_and_kept_as_late"],
    ),
    bug(
        "a stale worker's settling writes nothing",
        Change(
            "delivery/non_atomic.py",
            "if not statements.succeed([message.fence]):",
            "if statements.succeed([message.fence]) > 1:",
        ),
        red=["test_outside::test_a_stale_worker_s_settling_raises_superseded_and_writes_nothing"],
    ),
    bug(
        "settling asks for the attempt",
        Change(
            "models/sql/conditions.py",
            '__init__(F("id"), F("attempts"), Value(ids)',
            '__init__(F("id"), Value(attempts), Value(ids)',
        ),
        red=[
            "test_conflicts::test_a_worker_overtaken_before_it_handled_has_no_effect",
            "test_protocol::test_no_history_breaks_an_invariant",
        ],
    ),
    bug(
        "settling asks for the status",
        Change("models/queryset.py", "Ours(ids, attempts), status=Status.STARTED)", "Ours(ids, attempts))"),
        red=[
            "test_conflicts::test_a_worker_whose_row_was_taken_back_has_no_effect",
            "test_outside::test_a_stale_success_is_refused_and_kept_as_late",
        ],
    ),
    bug(
        "a handler runs in a savepoint of its own",
        Change(
            "delivery/savepoints.py",
            "            connection.savepoint_ids.pop()\n            self._roll_back()\n",
            "            connection.savepoint_ids.pop()\n",
        ),
        red=["test_chunks::test_one_failing_row_among_49_good_ones_takes_back_only_its_own_effects"],
    ),
    bug(
        "a row whose database error was swallowed has not succeeded",
        Change("delivery/savepoints.py", "if aborted or connection.needs_rollback:", "if False:"),
        red=[
            "test_delivery::test_a_handler_that_swallows_a_database_error_has_not_succeeded",
            "test_outside::test_a_database_error_swallowed_inside_settling_is_a_failed_attempt",
        ],
    ),
    bug(
        "a chunk that fails is redone row by row",
        Change("delivery/chunks.py", "        redo = fences\n", "        redo = []\n"),
        red=["test_chunks::test_a_constraint_that_fails_only_at_commit_fails_only_its_own_row"],
    ),
    bug(
        "a row that fails at COMMIT is settled in a transaction of its own",
        Change("delivery/chunks.py", "    if problem is not None:\n", "    if problem is not problem:\n"),
        red=[
            "test_chunks::test_a_constraint_that_fails_only_at_commit_fails_only_its_own_row",
            "test_chunks::test_a_constraint_that_fails_at_commit_again_and_again_is_exhausted",
        ],
    ),
    bug(
        "the lease is renewed for a redo",
        Change("delivery/chunks.py", ".renew(consumer.lease + consumer.timeout)", ".count()"),
        red=["test_chunks::test_the_lease_is_renewed_before_rows_are_redone_one_by_one"],
    ),
    bug(
        "a chunk does not wait long for locks",
        Change("models/sql/statements.py", "SET LOCAL lock_timeout = {wait // MILLISECOND};", ""),
        red=["test_conflicts::test_a_row_that_waits_too_long_for_a_lock_is_redone_alone_and_spends_nothing"],
    ),
    bug(
        "deadlocks and serialization failures spend no attempt",
        Change("delivery/execution.py", "    if code in CONFLICTS:\n        return True\n", ""),
        red=[
            "test_conflicts::test_a_row_that_waits_too_long_for_a_lock_is_redone_alone_and_spends_nothing",
            "test_conflicts::test_the_victim_of_a_deadlock_is_redone_and_spends_nothing",
            "test_conflicts::test_a_serialization_failure_is_redone_and_spends_nothing",
        ],
    ),
    bug(
        "a start heals a connection that broke while idle",
        Change(
            "delivery/chunks.py",
            "        connections[conf().database].close()\n        return named.run(",
            "        raise\n        return named.run(",
        ),
        red=["test_conflicts::test_a_connection_that_broke_while_idle_heals_at_the_next_start"],
    ),
    bug(
        "a start skips what others have locked",
        Change(
            "models/sql/statements.py",
            'lock = "FOR NO KEY UPDATE SKIP LOCKED" if',
            'lock = "FOR NO KEY UPDATE NOWAIT" if',
        ),
        red=["test_conflicts::test_a_row_being_started_by_another_worker_is_skipped_without_waiting"],
    ),
    bug(
        "a start counts and leases exactly the rows that it has locked",
        Change(
            "models/sql/statements.py",
            "AS MATERIALIZED ({picked} LIMIT %s {lock})",
            "AS NOT MATERIALIZED ({picked} LIMIT %s)",
        ),
        red=["test_conflicts::test_two_hints_for_the_same_rows_at_once_start_each_row_once"],
    ),
    bug(
        "a hint starts no more than a chunk",
        Change(
            "delivery/chunks.py",
            "rows = _start_named(consumer, ids, limit=consumer.chunk)",
            "rows = _start_named(consumer, ids, limit=len(ids))",
        ),
        red=["test_delivery::test_a_forged_hint_starts_no_more_than_a_chunk"],
    ),
    bug(
        "handling locks FOR NO KEY UPDATE",
        Change("models/sql/statements.py", "select_for_update(no_key=True)", "select_for_update()"),
        red=["test_conflicts::test_a_row_that_is_being_handled_does_not_block_those_who_refer_to_it"],
    ),
    bug(
        "recovery skips what a live handler has locked",
        Change(
            "maintenance/recovery.py",
            "over.select_for_update(skip_locked=True, no_key=True)",
            "over.select_for_update(no_key=True)",
        ),
        red=["test_conflicts::test_the_row_that_a_live_handler_has_locked_is_not_taken_back"],
    ),
    bug(
        "lost leases are recovered despite a pause",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if name not in "
            '{*ConsumerState.objects.paused().values_list("consumer", flat=True)}])',
        ),
        red=["test_recovery::test_lost_leases_are_recovered_although_the_consumer_is_paused"],
    ),
    bug(
        "lost leases are recovered despite an open breaker",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if name not in "
            '{*ConsumerState.objects.open().values_list("consumer", flat=True)}])',
        ),
        red=["test_recovery::test_lost_leases_are_recovered_although_the_breaker_is_open"],
    ),
    bug(
        "lost leases are recovered despite high water and without a broker",
        Change(
            "maintenance/rescan.py",
            "recover_all(names)",
            "recover_all([name for name in names if thread_connection().depth(name) < 50])",
        ),
        red=[
            "test_recovery::test_lost_leases_are_recovered_although_the_queue_is_full",
            "test_recovery::test_lost_leases_are_recovered_although_the_broker_is_away",
        ],
    ),
    bug(
        "paused consumers start nothing",
        Change("models/queryset.py", "self.filter(~Exists(states.paused()), flows)", "self.filter(flows)"),
        red=["test_delivery::test_a_paused_consumer_starts_nothing"],
    ),
    bug(
        "only the head of an ordered key starts",
        Change("delivery/chunks.py", ".pending().at_head().admitted(", ".pending().admitted("),
        red=[
            "test_order::test_only_the_head_of_a_key_starts_however_the_hint_names_them",
            "test_order::test_a_head_that_backs_off_holds_its_key_back_and_no_other",
        ],
    ),
    bug(
        "a failed head holds its key back",
        Change(
            "models/queryset.py",
            "            Q(finished_at__isnull=True) | Q(exhausted_at__isnull=False),\n            consumer=OuterRef",
            "            Q(finished_at__isnull=True),\n            consumer=OuterRef",
        ),
        red=["test_order::test_a_failed_head_holds_its_key_back_until_a_person_has_acted"],
    ),
    bug(
        "the rescan sends heads only",
        Change("maintenance/rescan.py", "        behind = _behind(found)\n", "        behind = set()\n"),
        red=["test_order::test_the_rescan_sends_heads_only_and_looks_at_the_others_later"],
    ),
    bug(
        "publishers of one ordering key go one after the other",
        Change(
            "publishing.py",
            'if not ordering_keys or connection.vendor != "postgresql":',
            "if ordering_keys is not None:",
        ),
        red=["test_publishing::test_publishers_of_one_ordering_key_commit_one_after_the_other"],
    ),
    bug(
        "many of one ordering key keep their order",
        Change(
            "publishing.py",
            "return ordering_key, () if ordering_key else message.identity",
            'return "", message.identity',
        ),
        red=["test_publishing::test_many_of_one_ordering_key_keep_the_order_in_which_they_were_given"],
    ),
    bug(
        "one INSERT per call",
        Change("publishing.py", "if limit else len(messages))):", "if limit else 1)):"),
        red=["test_publishing::test_one_insert_whatever_the_number_of_consumers"],
    ),
    bug(
        "rows are written sorted by key",
        Change(
            "publishing.py",
            "messages = sorted((message for draft in drafts for message in _prepare(draft)), key=_write_order)",
            "messages = [message for draft in drafts for message in _prepare(draft)]",
        ),
        red=[
            "test_publishing::test_many_are_written_in_one_statement_sorted_by_key",
            "test_publishing::test_two_publishers_with_the_same_keys_in_opposite_orders_do_not_deadlock",
        ],
    ),
    bug(
        "a courier that fails does not fail the request",
        Change("broker/dispatcher.py", "using=conf().database, robust=True)", "using=conf().database)"),
        red=["test_publishing::test_a_courier_that_fails_does_not_fail_the_request"],
    ),
    bug(
        "NUL is refused before anything is written",
        Change("payloads.py", '    if "\\0" in text:\n', '    if "\\0\\0" in text:\n'),
        red=[
            "test_payloads::test_what_is_accepted_comes_back_equal_and_what_is_not_has_written_nothing",
            "test_payloads::test_what_cannot_be_kept_is_refused_and_the_business_transaction_goes_on",
        ],
    ),
    bug(
        "a wait does not put the deadline off",
        Change("models/queryset.py", 'due_at=Least(then, F("expires_at")),', "due_at=Now() + wait,"),
        red=["test_recovery::test_a_wait_beyond_the_deadline_does_not_put_the_deadline_off"],
    ),
    bug(
        "three different rows open the breaker",
        Change("delivery/breaker.py", "        if row in self.unavailable:\n            return self\n", ""),
        red=["test_breaker::test_one_row_that_says_so_again_and_again_does_not"],
    ),
    bug(
        "behind an open breaker only the canary starts",
        Change("models/queryset.py", "flows = Q(~Exists(states.open()))", "flows = Q(pk__gte=0)"),
        red=["test_breaker::test_only_the_canary_starts_and_its_chunk_is_not_topped_up"],
    ),
    bug(
        "one canary per probe",
        Change("delivery/breaker.py", "breaker=Breaker.OPEN, probe_at__lte=Now())", "breaker=Breaker.OPEN)"),
        red=[
            "test_breaker::test_behind_an_open_breaker_the_rescan_sends_one_canary_per_probe",
            "test_breaker::test_of_four_overlapping_rescans_one_sends_the_canary",
        ],
    ),
    bug(
        "an unroutable hint counts as not sent",
        Change(
            "broker/connection.py",
            "                self._refused[task_id] = hint\n\n    def _up_to",
            "                pass\n\n    def _up_to",
        ),
        red=[
            "test_broker::test_a_hint_for_a_queue_that_was_deleted_counts_as_not_sent_and_the_next_finds_it_made_again",
            "test_broker::test_only_the_hints_that_found_no_queue_are_missing",
        ],
    ),
    bug(
        "a rejected hint counts as not sent",
        Change(
            "broker/connection.py",
            "                task_id, hint = self._outstanding.pop(settled)\n                self._refused[task_id] =",
            "                task_id, hint = self._outstanding.pop(settled)\n                _ignored =",
        ),
        red=["test_broker::test_a_hint_that_a_full_queue_rejects_counts_as_not_sent"],
    ),
    bug(
        "confirms are awaited",
        Change("broker/connection.py", "            self._await_confirms()\n", ""),
        red=[
            "test_broker::test_what_is_sent_over_a_frozen_link_is_missing_within_the_deadline",
            "test_broker::test_a_hint_that_a_full_queue_rejects_counts_as_not_sent",
        ],
    ),
    bug(
        "a forked child has a courier of its own",
        Change("broker/dispatcher.py", "os.register_at_fork(after_in_child=_after_fork)\n", ""),
        red=["test_courier::test_a_forked_child_has_a_courier_of_its_own_and_leaves_the_parent_s_alone"],
    ),
    bug(
        "a process that ends sends what waits",
        Change("broker/dispatcher.py", "atexit.register(drain)\n", ""),
        red=["test_courier::test_a_process_that_ends_sends_what_waits_first"],
    ),
    bug(
        "a request never waits for the broker",
        Change("broker/dispatcher.py", "self._waiting.put_nowait(ids)", "self._send(ids)"),
        red=["test_courier::test_publishing_and_committing_do_not_wait_for_a_broker_that_does_not_answer"],
    ),
    bug(
        "one of many workers covers for beat",
        Change("maintenance/rescan.py", "or not Heartbeat.objects.claim(TAKEOVER, every=overdue)", ""),
        red=["test_rescan::test_of_many_workers_that_find_the_rescan_overdue_one_does_it"],
    ),
]


def main(words: Sequence[str]) -> int:
    """Plant the bugs and return 0 if every one was noticed."""
    bugs = [entry for entry in BUGS if not words or any(word in entry.rule for word in words)]
    problems = 0
    with copy_of_the_tree() as tree:
        for entry in bugs:
            problems += misfits(tree, entry)
        sound = run(tree, sorted({test for entry in bugs for test in entry.tests}), fresh=True)
        for test, result in sound.items():
            if result != "passed":
                problems += 1
                print(f"WITHOUT ANY BUG {test}: {result}", flush=True)
        if not problems:
            for entry in bugs:
                problems += not noticed(tree, entry)
    print(f"{len(bugs)} bugs planted" + (f", {problems} PROBLEMS" if problems else ", every one was noticed"))
    return 1 if problems else 0


def noticed(tree: Path, entry: Bug) -> bool:
    """Plant one bug, run its tests, take it out again; tell whether all of them failed."""
    began = time.monotonic()
    with planted(tree, entry):
        results = run(tree, entry.tests)
    blind = [f"{test}: {result}" for test, result in results.items() if result != "failed"]
    verdict = "NOT NOTICED by " + ", ".join(blind) if blind else f"noticed by {len(results)}"
    print(f"{'ok ' if not blind else 'BAD'} {entry.rule}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    return not blind


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """Copy the project to a place where it may be broken, with a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        try:
            yield tree
        finally:
            drop_databases(_database_url("postgres"), f"test_{NAME}")


def misfits(tree: Path, entry: Bug) -> int:
    """Count, and tell of, replacements that do not fit exactly once."""
    count = 0
    for change in entry.changes:
        found = Path(tree, "outbox", change.file).read_text().count(change.old)
        if found != 1:
            count += 1
            print(f"{entry.rule}: {change.file} has {found} times, not once:\n{change.old}", flush=True)
    return count


@contextmanager
def planted(tree: Path, entry: Bug) -> Iterator[None]:
    """Make the changes of one bug, and undo them."""
    sound = {path: path.read_text() for change in entry.changes for path in [Path(tree, "outbox", change.file)]}
    try:
        for change in entry.changes:
            path = Path(tree, "outbox", change.file)
            path.write_text(path.read_text().replace(change.old, change.new))
        yield
    finally:
        for path, text in sound.items():
            path.write_text(text)


def run(tree: Path, tests: Sequence[str], *, fresh: bool = False) -> dict[str, str]:
    """Run the tests in ``tree``; return for each "passed", "failed" or what else became of it."""
    report = Path(tree, "report.xml")
    nodes = ["tests/engine/{}.py::{}".format(*test.split("::")) for test in tests]
    flags = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--create-db" if fresh else "--reuse-db"]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *flags, *nodes],
        cwd=tree,
        env={**_environment(), "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    results = dict.fromkeys(tests, "did not run")
    if not report.exists():
        print(done.stdout, done.stderr, flush=True)
        return results
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name', '').partition('[')[0]}"
        if name in results and results[name] != "failed":
            results[name] = _result(case)
    report.unlink()
    return results


def _result(case: ElementTree.Element) -> str:
    for kind, word in (("failure", "failed"), ("error", "stumbled"), ("skipped", "was skipped")):
        if case.find(kind) is not None:
            return word
    return "passed"


def _environment() -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("EMBEDDED", "DATABASE_URL")}
    own = {"DATABASE_URL": _database_url(NAME), "OUTBOX_PREFIX": NAME.replace("_", "-")}
    return {"CELERY_BROKER_URL": BROKER, **inherited, **own}


def _database_url(name: str) -> str:
    url = os.environ.get("TEST_DATABASE_URL") or os.environ.get("DATABASE_URL") or DATABASE
    return f"{url.rpartition('/')[0]}/{name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
