"""How things stand: health, consumers with their pauses, failure groups."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Path, Query, Router, Schema
from pydantic import Field

from outbox import operate, registry
from outbox.admin.failures import groups
from outbox.admin.failures.groups import GroupSummary
from outbox.api.answers import ConsumerList, ConsumerOut, GroupList, GroupOut, StatusOut, columns
from outbox.api.door import Token, by
from outbox.api.problems import not_found
from outbox.api.values import NO_NUL, ConsumerName, Pause, Resume
from outbox.errors import Conflict
from outbox.models import ConsumerState
from outbox.models.state import Breaker
from outbox.monitoring import health
from outbox.monitoring.measurements import ConsumerMeasurements
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.consumers import is_known
from outbox.topics import NAME_LENGTH

router = Router(tags=["state"])

GROUP_COLUMNS = ("fingerprint", "consumer", "title", "state", "owner", "ticket", "regressions", "revision")
Name = Annotated[str, Path(max_length=NAME_LENGTH, pattern=NO_NUL, description="The consumer's name.")]
Fingerprint = Annotated[str, Path(max_length=64, pattern=NO_NUL, description="The group, by its whole fingerprint.")]
States = Literal["open", "ignored", "fixed", "all"]


@router.get("/status", auth=Token("outbox.view_consumerstate"), response=StatusOut, summary="Is everything in order?")
def show_status(request: HttpRequest) -> dict[str, Any]:
    """Return what was found, the worst first, and the figures of all consumers together."""
    seen = health.health()
    consumers = seen.measurements.consumers
    rescan = seen.measurements.rescan
    return {
        "level": seen.level.word,
        "findings": [
            {
                "level": finding.level.word,
                "what": finding.what.value,
                "subject": finding.subject,
                "sentence": finding.sentence,
            }
            for finding in seen.findings
        ],
        "pending": sum(consumer.pending for consumer in consumers),
        "started": sum(consumer.started for consumer in consumers),
        "failed": sum(consumer.exhausted for consumer in consumers),
        "rescan_seconds": None if rescan is None else rescan.total_seconds(),
    }


@router.get("/consumers", auth=Token("outbox.view_consumerstate"), response=ConsumerList, summary="List consumers")
def list_consumers(request: HttpRequest) -> dict[str, Any]:
    """Return every consumer of the code, and others of which something waits or is held back."""
    reading = health.read()
    measured = {one.name: one for one in reading.measurements.consumers}
    held = {name for name, state in reading.states.items() if _is_paused(state) or state.breaker == Breaker.OPEN}
    names = sorted(measured.keys() | held)
    return {"consumers": [_consumer(name, measured.get(name), reading.states.get(name)) for name in names]}


@router.get(
    "/consumers/{name}", auth=Token("outbox.view_consumerstate"), response=ConsumerOut, summary="Show a consumer"
)
def show_consumer(request: HttpRequest, name: Name) -> dict[str, Any]:
    """Return how a consumer stands."""
    return _one(name)


@router.post(
    "/consumers/{name}/pause", auth=Token(PERMISSIONS[Action.PAUSE]), response=ConsumerOut, summary="Pause a consumer"
)
def pause_consumer(request: HttpRequest, name: Name, body: Pause) -> dict[str, Any]:
    """Start no message of a consumer until it is resumed, or for so long. What a worker holds it finishes."""
    _refuse_unknown(name)
    lasting = None if body.minutes is None else timedelta(minutes=body.minutes)
    operate.pause(name, seen=_seen(body.seen), lasting=lasting, reason=body.reason, **by(request))
    return _one(name)


@router.post(
    "/consumers/{name}/resume",
    auth=Token(PERMISSIONS[Action.RESUME]),
    response=ConsumerOut,
    summary="Resume a consumer",
)
def resume_consumer(request: HttpRequest, name: Name, body: Resume) -> dict[str, Any]:
    """Let a paused consumer go on."""
    _refuse_unknown(name)
    operate.resume(name, seen=_seen(body.seen), reason=body.reason, **by(request))
    return _one(name)


class Narrowed(Schema):
    """Which failure groups are listed."""

    state: States = Field("open", description="`open`: neither fixed nor ignored, or stuck all the same.")
    consumer: ConsumerName = Field("", description="Of one consumer alone.")


@router.get(
    "/failure-groups",
    auth=Token("outbox.view_failuregroup", query=tuple(Narrowed.model_fields)),
    response=GroupList,
    summary="List failure groups",
)
def list_groups(request: HttpRequest, narrowed: Query[Narrowed]) -> dict[str, Any]:
    """Return the failure groups, the most stuck first."""
    consumer = narrowed.consumer
    summaries = groups.read_groups(groups.stuck_now(consumer), consumer=consumer)
    found = groups.tabs_of(summaries)[narrowed.state]
    return {"groups": list(map(_group, found)), "cut_short": len(summaries) >= groups.GROUPS_READ}


@router.get(
    "/failure-groups/{fingerprint}",
    auth=Token("outbox.view_failuregroup"),
    response=GroupOut,
    summary="Show a failure group",
)
def show_group(request: HttpRequest, fingerprint: Fingerprint) -> dict[str, Any]:
    """Return a failure group with its figures."""
    summary = groups.find_group(fingerprint)
    if summary is None:
        raise not_found()
    return _group(summary)


def _refuse_unknown(name: str) -> None:
    if not is_known(name):
        raise not_found()


def _one(name: str) -> dict[str, Any]:
    reading = health.read()
    measured = next((one for one in reading.measurements.consumers if one.name == name), None)
    state = reading.states.get(name)
    if measured is None and state is None:
        raise not_found()
    return _consumer(name, measured, state)


def _consumer(name: str, measured: ConsumerMeasurements | None, state: ConsumerState | None) -> dict[str, Any]:
    paused = state if state is not None and _is_paused(state) else ConsumerState(consumer=name)
    oldest = measured.oldest if measured else None
    return {
        "name": name,
        "in_code": registry.get(name) is not None,
        "pending": measured.pending if measured else 0,
        "started": measured.started if measured else 0,
        "failed": measured.exhausted if measured else 0,
        "oldest_seconds": None if oldest is None else oldest.total_seconds(),
        "breaker_open": state is not None and state.breaker == Breaker.OPEN,
        "paused": paused.paused_at is not None,
        **columns(paused, ("paused_at", "paused_by", "paused_reason", "paused_until")),
    }


def _is_paused(state: ConsumerState) -> bool:
    """Tell whether the pause is on; the reading says how long it has been, and nothing when it is over."""
    return getattr(state, "pause", None) is not None


def _seen(text: str | None) -> datetime | None:
    """Return the pause that was read. What is no moment was never read anywhere, and so is overtaken."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Conflict(_("“seen” is not the pause that there is. Read the consumer again, then decide.")) from error


def _group(summary: GroupSummary) -> dict[str, Any]:
    return {
        **columns(summary.group, GROUP_COLUMNS),
        "stuck": summary.stuck.counted,
        "worth": {currency: str(amount) for currency, amount in summary.worth.items()},
        "failures": summary.total,
        "last_at": summary.last_at.isoformat(),
    }
