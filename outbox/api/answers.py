"""What calls are answered, as the document of the API says it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field, WithJsonSchema

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class MessageOut(Schema):
    """A message, as lists have it."""

    id: int
    topic: str
    key: str
    consumer: str
    status: Literal["pending", "started", "success", "failed"]
    resolution: str = Field(description="How it was closed; empty: the machine did, or it is not closed.")
    reason: str = Field(description="Why the machine gave it up; empty: it has not.")
    failure: str = Field(description="The failure group; empty: none.")
    error: str = Field(description="The last error; a list has its first 300 characters.")
    attempts: int
    attempt_limit: int
    ordering_key: str
    value: str | None = Field(description="What is at stake, in `currency`.", examples=["25.0000"])
    currency: str
    revision: int
    created_at: Moment
    due_at: Moment
    expires_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    exhausted_at: Moment | None = Field(description="Since when it waits for a person.")


class AttemptOut(Schema):
    """An attempt that did not simply succeed."""

    number: int
    outcome: str
    times: int
    started_at: Moment | None
    ended_at: Moment
    error: str
    worker: str


class MessageInFull(MessageOut):
    """A message, with what is known of its attempts."""

    idempotency_key: str
    may_have_acted: bool = Field(description="Whether the other side may have acted although it did not succeed.")
    issued_by_hand: bool = Field(description="Whether evidence says that it was issued outside the system.")
    held_back: str = Field(description="Why its consumer starts nothing for now; empty: it flows.")
    tried: list[AttemptOut] = Field(description="The newest attempts, at most 100, oldest first.")


class MessagePage(Schema):
    """Some messages, and where the next ones begin."""

    messages: list[MessageOut]
    next: str | None = Field(description="Give it as `after`; null: these were the last.")
    cut_short: bool = Field(description="Looking was stopped after 10,000 rows: there may be more at `next`.")


class SearchResult(Schema):
    """What a search means."""

    messages: list[MessageOut]
    finder_failed: bool = Field(description="Whether a search function of the project has failed.")


class PayloadOut(Schema):
    """A payload, unmasked."""

    payload: Any


class ProgressOut(Schema):
    """How far an operation has come."""

    todo: int
    done: int
    refused: int
    remaining: int
    awaited: int = Field(description="Retried, and without an outcome so far.")
    percent: int
    per_second: float | None
    eta_seconds: float | None = Field(description="Null: nobody can tell.")


class OperationOut(Schema):
    """A bulk operation."""

    id: int
    verb: str
    state: Literal["draft", "waiting", "canary", "running", "suspended", "paused", "stopped", "done", "cancelled"]
    set: str = Field(description="Where its messages come from, in words.")
    waits_for: str = Field(description="What it waits for, in words; empty: it gets on, or is over.")
    revision: int
    created_by: str
    started_by: str
    approved_by: str
    reason: str
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    total: int
    left_out: int
    succeeded: int
    failed_again: int
    not_ready: int
    overtaken: int
    rate: int | None
    canary: int
    stop_percent: int | None
    progress: ProgressOut
    preview: dict[str, Any] = Field(
        description="Exact counts by consumer, reason and age, what is at stake, samples, and what is left out."
    )


class OperationPage(Schema):
    """Some operations, the newest first."""

    operations: list[OperationOut]
    next: int | None = Field(description="Give it as `after`; null: these were the last.")


class GroupOut(Schema):
    """A failure group."""

    fingerprint: str
    consumer: str
    title: str
    state: str
    owner: str
    ticket: str
    regressions: int
    stuck: int = Field(description="Messages that wait for a person because of it, counted up to 200,000.")
    worth: dict[str, str] = Field(description="What they are worth, by currency.")
    failures: int = Field(description="Attempts that ever ended so.")
    last_at: Moment
    revision: int


class GroupList(Schema):
    """The failure groups that matter, the most stuck first."""

    groups: list[GroupOut]
    cut_short: bool = Field(description="Whether there are more than the 1,000 that failed last.")


class ConsumerOut(Schema):
    """A consumer."""

    name: str
    in_code: bool
    pending: int
    started: int
    failed: int
    oldest_seconds: float | None = Field(description="How long the oldest that is not finished has waited.")
    breaker_open: bool
    paused: bool
    paused_at: Moment | None
    paused_by: str
    paused_reason: str
    paused_until: Moment | None


class ConsumerList(Schema):
    """Every consumer of the code, and others of which something waits or is held back."""

    consumers: list[ConsumerOut]


class FindingOut(Schema):
    """One thing that was looked at."""

    level: Literal["ok", "warning", "critical"]
    what: str
    subject: str
    sentence: str


class StatusOut(Schema):
    """Is everything in order?"""

    level: Literal["ok", "warning", "critical"]
    findings: list[FindingOut] = Field(description="The worst first.")
    pending: int
    started: int
    failed: int
    rescan_seconds: float | None = Field(description="Age of the last rescan; null: there was none.")


class ProblemOut(Schema):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    code: str
    detail: str = Field(description="Why, and what to do, in plain words.")


def columns(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return columns of a row as JSON has them: moments to the microsecond, amounts as text."""
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
