"""How the desk writes a status, a moment, a span and a count, the same on every page."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.db import DatabaseError, transaction
from django.template import Context
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbox.admin import base, formats, typed
from outbox.admin.counts import BoundedCount
from outbox.admin.keys import KEYS
from outbox.admin.operations.page import operations_context as read_operations
from outbox.admin.seeing import permission_to_see
from outbox.admin.tones import Tone, of_message
from outbox.conf import conf
from outbox.models import FailureGroup, Message, Resolution, Status
from outbox.monitoring.findings import in_words
from outbox.operate.wording import format_datetime

register = template.Library()
log = logging.getLogger("outbox.desk")
NAME_PARTS = re.compile(r"[^._]*[._]|[^._]+")

WORDS: Mapping[str, Promise] = {
    Status.PENDING: gettext_lazy("Pending"),
    Status.STARTED: gettext_lazy("Started"),
    Status.SUCCESS: gettext_lazy("Success"),
    Status.FAILED: gettext_lazy("Failed"),
    Resolution.HANDLED: gettext_lazy("Handled by hand"),
    Resolution.DISCARDED: gettext_lazy("Discarded"),
    Resolution.OVERDUE: gettext_lazy("Overdue"),
    Resolution.WITHDRAWN: gettext_lazy("Withdrawn"),
}
"""What a message's status is called, or what a person has decided about it."""


@register.inclusion_tag("outbox/desk/_state.html")
def status(message: Message) -> dict[str, Any]:
    """Show a status as icon, word and colour."""
    seen = message.resolution or message.status
    return {"icon": seen, "tone": of_message(message), "word": WORDS[seen]}


@register.inclusion_tag("outbox/desk/_state.html")
def state(tone: Tone, word: str) -> dict[str, Any]:
    """Show how something stands as icon, word and colour."""
    return {"icon": tone.icon, "tone": tone, "word": word}


@register.inclusion_tag("outbox/desk/_state.html")
def tone(tone: Tone) -> dict[str, Any]:
    """Show a tone's icon beside a sentence that says the same."""
    return {"icon": tone.icon, "tone": tone, "word": ""}


@register.inclusion_tag("outbox/desk/_operations.html", takes_context=True)
def operations(context: Context) -> dict[str, Any]:
    """Show the whole of Operations; if its figures cannot be read, say so and leave the rest of the page alone."""
    try:
        with transaction.atomic(using=conf().database):  # an error must not spoil a transaction around the request
            return {
                **read_operations(context["user"], site=base.site_of(context["request"])),
                "perms": context.get("perms"),
            }
    except DatabaseError:
        log.exception("the figures of Operations could not be read")
        return {"broken": True}


register.simple_tag(formats.format_moment, name="moment")


@register.simple_tag
def age(at: datetime) -> SafeString:
    """Show how long ago something was, in one unit; the tooltip has the moment itself."""
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-age title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        timesince(at, depth=1),
    )


@register.simple_tag
def clock(at: datetime) -> SafeString:
    """Show the hour of a day in local time, with UTC in the tooltip."""
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-clock title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M} UTC",
        format_datetime(at, "D H:i"),
    )


register.simple_tag(base.narrowed)


@register.simple_tag
def key(act: str) -> str:
    """Return the key that leads to an act, by its name."""
    return KEYS[act]


@register.simple_block_tag(takes_context=True)
def link_to(context: Context, content: str, name: str, *args: Any, **narrowed_by: str) -> SafeString:
    """Let what stands in between lead to a page of the admin, as in ``shop_order_change``, for those who may see it."""
    permission = permission_to_see(name)
    if permission and not context["request"].user.has_perm(permission):
        return format_html('<span title="{}">{}</span>', _("You may not open this page."), content)
    address = reverse(f"admin:{name}", args=args, current_app=base.site_of(context["request"]))
    return format_html('<a href="{}{}">{}</a>', address, base.narrowed(**narrowed_by) if narrowed_by else "", content)


@register.simple_tag(takes_context=True)
def typed_by(context: Context) -> SafeString:
    """Seal a form for whoever it is shown to, so that what is typed into it can be kept for them over a login."""
    return format_html('<input type="hidden" name="{}" value="{}">', typed.SEAL, typed.seal(context["request"].user))


@register.inclusion_tag("outbox/desk/_count.html", takes_context=True)
def count(context: Context, tally: BoundedCount, **narrowed_by: str) -> dict[str, Any]:
    """Show a count, for those who may see messages as a link to the work queue, narrowed down to what was counted."""
    may_open = context["perms"]["outbox"]["view_message"]
    return {"tally": tally, "query": base.narrowed(**narrowed_by), "may_open": may_open}


@register.filter
def failure(message: Message) -> str:
    """Write why a message has not succeeded yet, in the reader's words."""
    return formats.describe_failure(message)


@register.filter
def valued(message: Message) -> str:
    """Write what a message is worth; a dash if nobody has said."""
    return "–" if message.value is None else formats.format_worth({message.currency: message.value})


register.filter("worth", formats.format_worth)


@register.filter
def titled(group: FailureGroup) -> str:
    """Write a failure group with "…" for what differs from case to case."""
    return formats.format_group(group)


@register.filter
def breakable(name: str) -> SafeString:
    """Write a name that may break after its dots and underlines, so that no narrow column breaks it in a word."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in NAME_PARTS.findall(name)))


@register.filter
def plain(number: int) -> str:
    """Write a number as a drawing or an id needs it: no locale puts a comma in."""
    return str(int(number))


@register.filter
def grouped(number: int) -> str:
    """Write a count as the reader's language groups it."""
    return number_format(number, force_grouping=True)


@register.filter
def ago(span: timedelta | None) -> str:
    """Write a span as health's sentences do; a dash for none."""
    return "–" if span is None else in_words(span)


@register.filter
def span(took: timedelta) -> str:
    """Show how long something took, from milliseconds to days."""
    seconds = took.total_seconds()
    if seconds < 1:
        return _("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 60:
        return _("%(count).1f s") % {"count": seconds}
    minutes = round(seconds / 60)
    return ngettext("%(count)d min", "%(count)d min", minutes) % {"count": minutes}


@register.filter
def short(tally: BoundedCount) -> str:
    """Show a count, with a plus where counting stopped; a question mark if it stopped before it found any."""
    if tally.more and not tally.counted:
        return "?"
    return grouped(tally.counted) + ("+" if tally.more else "")


@register.filter
def spoken(tally: BoundedCount) -> str:
    """Say a count in words, for the tooltip and for those who listen."""
    if tally.more and not tally.counted:
        return _("none among those looked through; there are too many to look through all")
    if tally.more:
        return _("more than %(count)s") % {"count": grouped(tally.counted)}
    return ngettext("%(count)s message", "%(count)s messages", tally.counted) % {"count": grouped(tally.counted)}
