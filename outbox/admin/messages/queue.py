"""The page of the work queue: what an address narrows it down to, its rows, and the addresses of what is beside it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin import descriptions, sheets
from outbox.admin.base import narrowed, word_in, word_of
from outbox.admin.bulk import buttons
from outbox.admin.failures.groups import GroupOfMessage
from outbox.admin.forms import lacks_permission
from outbox.admin.messages import listing
from outbox.admin.messages.saved_views import NARROWS
from outbox.admin.messages.tab_counts import TabCounts, count_tabs
from outbox.admin.messages.tabs import (
    ERROR_PART_LENGTH,
    EVERYTHING,
    FAILED,
    TABS,
    FoundGroup,
    Scope,
    Tab,
    find_group,
    find_tab,
    scope_of,
)
from outbox.admin.periods import PERIODS, span_of
from outbox.models import Message
from outbox.models.sql.backlog import without_jit
from outbox.operate.actions import Action
from outbox.topics import NAME_LENGTH

FILTERS = "_changelist_filters"
"""The query parameter in which Django's admin keeps the list's filters while one looks at a row."""


class Address(NamedTuple):
    """What an address of the queue asks for: a tab, what it is narrowed down to, and the group that it names."""

    tab: Tab
    scope: Scope
    group: FoundGroup | None
    is_group_gone: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """What a row of the queue is about, and what is to be known about that, each on one line."""

    label: str
    detail: str
    head: int | None = None
    """The message of the same ordering key that it waits for."""


def query_of(request: HttpRequest) -> str:
    """Return what is searched for; empty where a tab is shown."""
    return request.GET.get("q", "").strip()


def read_address(request: HttpRequest, *, tab: Tab | None = None) -> Address:
    """Return what the address of a request asks for, of another ``tab`` than its own if one is given."""
    tab = tab or find_tab(request.GET.get("tab", ""), turned=_is_turned(request.GET))
    group, consumer = find_group(word_of(request, "group")), _consumer_in(request.GET)
    is_gone = bool(word_of(request, "group")) and group is None
    if group and consumer not in ("", group.root.consumer):
        group = None  # another consumer was chosen in the form
    consumer = group.root.consumer if group else consumer
    scope = replace(scope_of(tab, consumer, group), **read_narrowing(request.GET, request)._asdict())
    return Address(tab, scope, group, is_gone)


def queue_context(request: HttpRequest, *, site: str) -> dict[str, Any]:
    """Return what the page shows of the queue: a tab as it is narrowed down, or what a search has found."""
    text, (tab, scope, group, is_group_gone) = query_of(request), read_address(request)
    consumer = scope.consumer
    with without_jit():
        beside = scope if scope.is_narrowed and not text else None
        counts = count_tabs(Scope(consumer, group.fingerprints if group else ()), shown=tab, narrowed=beside)
        scope, within = replace(scope, waiting=counts.waiting), counts.within
        found = None if text else _read_page(request, tab, scope)
    found = found or listing.search_messages(text)  # the project's code, which must not break our transaction
    described = descriptions.descriptions(found.rows, site=site, reader=request.user)
    heads = listing.heads_before(found.rows)
    is_first = not (request.GET.get("after") or request.GET.get("before"))
    retry_refusal = lacks_permission(Action.RETRY, request.user)
    picked_buttons = buttons.for_picked(request.user)
    open_acts = not all([retry_refusal, *(button.refusal for button in picked_buttons)])
    has_acts = tab.slug == "failed" and not text
    period = request.GET.get("within", "") if scope.within else ""
    kept = {
        "within": period,
        "mine": "1" if scope.owner else "",
        "error": scope.error,
        "order": "turned" if _is_turned(request.GET) else "",
    }
    return {
        "is_group_gone": is_group_gone,
        "tab": None if text else tab,
        "tabs": [
            (each, counts.by_tab[each.slug], _tab_url(each, scope_of(each, consumer, group), **kept)) for each in TABS
        ],
        "periods": [(name, label) for name, (label, _span) in PERIODS.items()],
        "period": period,
        "mine": kept["mine"],
        "error_part": scope.error,
        "error_part_length": ERROR_PART_LENGTH,
        "is_turned": bool(kept["order"]),
        "orders": tab.orders,
        "within": within,
        "narrowed_to": _narrowed_to(scope, period),
        "has_value": any(message.currency for message in found.rows),
        "arrivals_url": _arrivals_url(counts, scope, site) if is_first and tab == FAILED and not text else "",
        "group": group.root if group and scope.failure and not text else None,
        "query": text,
        "consumer": consumer,
        "consumers": sorted({*registry.consumer_names(), consumer} - {""}),
        "rows": [
            (message, _subject(message, described.get(message.pk), heads.get(message.pk))) for message in found.rows
        ],
        "page": found,
        "newer_url": _page_url(request, before=found.newer),
        "older_url": _page_url(request, after=found.older),
        "first_url": _tab_url(tab, scope, **kept),
        "not_narrowed_url": _tab_url(tab, scope, order=kept["order"]),
        "everything_url": _tab_url(tab, EVERYTHING, **kept),
        "newer_label": _("Look further") if found.cut_short and found.backwards else tab.newer,
        "older_label": _("Look further") if found.cut_short and not found.backwards else tab.older,
        "is_first": is_first,
        "nothing": _why_nothing(tab, text, found, scope, is_first=is_first),
        "finder_failed": found.finder_failed,
        "only_consumer": consumer if is_first and not text and not found.cut_short else "",
        "may_pick": has_acts and open_acts,
        "retry_refusal": retry_refusal,
        "bulk_buttons": buttons.for_all(request.user) if has_acts else [],
        "exports": [
            (name, _export_url(request, name, site))
            for name in (sheets.offered_formats() if found.rows and not text else [])
        ],
        "export_refusal": lacks_permission(Action.EXPORT, request.user),
        "picked_buttons": picked_buttons,
        "page_query": urlencode({FILTERS: request.GET.urlencode()}) if request.GET else "",
    }


class ListAround(NamedTuple):
    """The list of failed messages from which somebody has come to a message."""

    scope: Scope
    is_turned: bool


def list_around(request: HttpRequest, known: GroupOfMessage | None) -> ListAround:
    """Return from which list somebody has come to a message, whose group is ``known``."""
    given = QueryDict(word_of(request, FILTERS))
    fingerprint = given.get("group", "")
    if known is not None and known.root.pk == fingerprint:
        scope = Scope(known.root.consumer, known.fingerprints)
    else:
        scope = scope_of(FAILED, _consumer_in(given), find_group(fingerprint))
    return ListAround(replace(scope, **read_narrowing(given, request)._asdict()), _is_turned(given))


class Narrowing(NamedTuple):
    """What a list is narrowed down to beside a consumer or a group: a span, whose messages, a part of the error."""

    within: timedelta | None
    owner: str
    error: str


def read_narrowing(given: QueryDict, request: HttpRequest) -> Narrowing:
    """Return what an address or a form narrows a list down to."""
    owner = request.user.get_username() if given.get("mine") else ""
    return Narrowing(span_of(given.get("within", "")), owner, word_in(given, "error").strip()[:ERROR_PART_LENGTH])


def _consumer_in(given: QueryDict) -> str:
    """Return the consumer that an address names; nothing where no database can hold such a name."""
    return word_in(given, "consumer")[:NAME_LENGTH]


def _is_turned(given: QueryDict) -> bool:
    return given.get("order") == "turned"


def _narrowed_to(scope: Scope, period: str) -> str:
    """Return in words what is shown alone, of a consumer or a group; empty if all of it is."""
    words = [
        str(PERIODS[period][0]) if period else "",
        _("Seen to by you") if scope.owner else "",
        _("“%(error)s” in the error") % {"error": scope.error} if scope.error else "",
    ]
    return " · ".join(filter(None, words))


def _read_page(request: HttpRequest, tab: Tab, scope: Scope) -> listing.Page:
    return listing.read_page(tab, scope, after=request.GET.get("after", ""), before=request.GET.get("before", ""))


def _subject(message: Message, described: descriptions.Description | None, head: int | None) -> Subject:
    """Return what the project says a message is about, else its topic and key."""
    named = f"{message.topic} {message.key}"
    if described is None:
        return Subject(named, _("message %(id)d") % {"id": message.pk}, head)
    facts = " · ".join(f"{fact.label}: {fact.value}" for fact in described.facts)
    return Subject(described.label, facts or named, head)


def _why_nothing(tab: Tab, query: str, page: listing.Page, scope: Scope, *, is_first: bool) -> list[str]:
    """Return what is said where there is no row to show."""
    if query:
        return [
            _("There is no message that “%(query)s” means.") % {"query": query},
            _("The search is exact: enter the whole text, without spaces. Successes are removed after a while."),
        ]
    if page.cut_short:
        return [_("Nothing in the part of the table that was looked through. Look further to go on from there.")]
    if scope.is_narrowed:
        return [_("There is nothing of that here.")]
    return [str(tab.empty) if is_first else _("This page is empty by now.")]


def _tab_url(tab: Tab, scope: Scope, **kept: str) -> str:
    """Return the address of a tab; a group of failures is only among what failed."""
    group = scope.failure if tab.slug == "failed" else ""
    return narrowed(tab=tab.slug, consumer=scope.consumer, group=group, **kept)


def _page_url(request: HttpRequest, **cursor: str) -> str:
    if not all(cursor.values()):
        return ""
    return narrowed(**{name: request.GET.get(name, "") for name in NARROWS}, **cursor)


def _export_url(request: HttpRequest, form: str, site: str) -> str:
    kept = {name: request.GET.get(name, "") for name in NARROWS}
    return reverse("admin:outbox_message_export", current_app=site) + narrowed(**kept, format=form)


def _arrivals_url(counts: TabCounts, scope: Scope, site: str) -> str:
    """Return where the page asks what has come since; until then is the last of what it shows."""
    shown = [group.last_at for group in counts.groups if not scope.failures or group.failure in scope.failures]
    since = max(shown).isoformat() if shown else ""
    kept = {"mine": "1" if scope.owner else "", "error": scope.error}
    address = reverse("admin:outbox_message_arrivals", current_app=site)
    return address + narrowed(consumer=scope.consumer, group=scope.failure, since=since, **kept)
