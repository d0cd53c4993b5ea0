"""What an operator's act changes in a message, in one row or in many."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Greatest, Least, Now

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.models import Resolution, Status


def retried(consumer: Consumer) -> dict[str, Any]:
    """Return what a retry changes in a failed message of ``consumer``."""
    # Later than now if a call that was given up still runs: see ``hold_back``.
    then = Greatest(Least(F("not_before"), Now() + conf().lease), Now())
    return {
        "status": Status.PENDING,
        "finished_at": None,
        "exhausted_at": None,
        "attempt_limit": F("attempts") + consumer.retry.limit,
        "sends": 0,
        "reason": "",
        "due_at": then,
        "not_before": then,
        "retried_at": Now(),
        "expires_at": Now() + consumer.deadline,
    }


def handled() -> dict[str, Any]:
    """Return what marking a failed message as handled changes in it."""
    return {
        "status": Status.SUCCESS,
        "resolution": Resolution.HANDLED,
        "finished_at": Now(),
        "exhausted_at": None,
    }


def discarded() -> dict[str, Any]:
    """Return what discarding a failed message changes in it."""
    return {"resolution": Resolution.DISCARDED, "finished_at": Now(), "exhausted_at": None}


def reopened() -> dict[str, Any]:
    """Return what reopening a message changes in it that was closed by hand."""
    return {
        "status": Status.FAILED,
        "resolution": Resolution.NONE,
        "finished_at": Now(),
        "exhausted_at": Now(),
    }
