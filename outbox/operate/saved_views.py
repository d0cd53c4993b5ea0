"""Views of the work queue under a name: saved by whoever uses them, for themselves or for all."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from outbox import audit
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed, PermissionMissing
from outbox.models import SavedView
from outbox.models.saved_view import NAME_OF_VIEW_LENGTH, QUERY_LENGTH
from outbox.operate import text_checks
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by

VIEWS_OF_ONE = 20
"""Views that one person can have."""
VIEWS_SHARED = 50
"""Views that are shared, all persons together."""
AUDITED_VIEW = ("owner", "name", "query", "is_shared")
TEND = "outbox.tend_views"
"""The permission to rename and delete what others share."""


@noted_if_refused(Action.SAVE_VIEW, name="view {}".format)
def save_view(
    name: str, query: str, *, actor: Actor, is_shared: bool = False, reason: str = "", origin: str = ""
) -> SavedView:
    """Save an address of the work queue under a name; ``query`` is what stands behind its ``?``.

    One person has at most 20 views, and at most 50 are shared.
    """
    action = OperatorAction(Action.SAVE_VIEW, actor, reason, origin)
    action.check()
    view = SavedView(
        owner=action.actor_name,
        name=_check_name(name),
        query=text_checks.check_text(query, limit=QUERY_LENGTH),
        is_shared=is_shared,
    )
    after = {name: getattr(view, name) for name in AUDITED_VIEW}
    with _name_once(view):
        action.record(_subject(view), before={}, after=after)  # from here on nobody else saves one
        _refuse_too_many(view)
        view.save(force_insert=True, using=conf().database)
    return view


@noted_if_refused(Action.RENAME_VIEW, name="view {}".format)
def rename_view(
    view_id: int, name: str, *, revision: int, actor: Actor, reason: str = "", origin: str = ""
) -> SavedView:
    """Give a view another name: its owner, or for a shared one whoever may tend those."""
    action = OperatorAction(Action.RENAME_VIEW, actor, reason, origin)
    action.check()
    view = _read_seen(view_id, action)
    wanted = _check_name(name)
    if wanted == view.name:
        raise NotAllowed(_("Nothing was changed."))
    with _name_once(SavedView(pk=view.pk, owner=view.owner, name=wanted)):
        return action.change(
            view,
            SavedView.objects.filter(pk=view.pk, revision=revision),
            audited=AUDITED_VIEW,
            subject=_subject(view),
            conflict=partial(_conflict_over, view),
            revision=F("revision") + 1,
            name=wanted,
        )


@noted_if_refused(Action.DELETE_VIEW, name="view {}".format)
def delete_view(view_id: int, *, revision: int, actor: Actor, reason: str = "", origin: str = "") -> None:
    """Delete a view: its owner, or for a shared one whoever may tend those."""
    action = OperatorAction(Action.DELETE_VIEW, actor, reason, origin)
    action.check()
    view = _read_seen(view_id, action)
    with transaction.atomic(using=conf().database):
        deleted, _by_model = SavedView.objects.filter(pk=view.pk, revision=revision).delete()
        if not deleted:
            raise _conflict_over(view)
        before = {name: getattr(view, name) for name in AUDITED_VIEW}
        action.record(_subject(view), before=before, after={})


def may_change_view(view: SavedView, actor: Actor) -> bool:
    """Tell whether the view is this person's to rename and delete."""
    if isinstance(actor, str) or view.owner == actor.get_username():
        return True
    return view.is_shared and actor.has_perm(TEND)


def _read_seen(view_id: int, action: OperatorAction) -> SavedView:
    view = SavedView.objects.filter(pk=view_id).first()
    if view is None or not (view.is_shared or may_change_view(view, action.actor)):
        raise Conflict(_("This view is no longer there."))
    if not may_change_view(view, action.actor):
        raise PermissionMissing(
            _("It is %(owner)s who shares this view. To change it takes the permission “%(permission)s”.")
            % {"owner": view.owner, "permission": TEND},
            permission=TEND,
        )
    return view


def _check_name(name: str) -> str:
    checked = text_checks.check_text(name, limit=NAME_OF_VIEW_LENGTH)
    if not checked:
        raise NotAllowed(_("Give the view a name."))
    return checked


@contextmanager
def _name_once(view: SavedView) -> Iterator[None]:
    """Open the transaction in which a view gets its name; raise ``NotAllowed`` if its owner has one of that name."""
    taken = NotAllowed(_("There is a view of that name already. Choose another, or delete that one."))
    if SavedView.objects.filter(owner=view.owner, name=view.name).exclude(pk=view.pk).exists():
        raise taken
    try:
        with transaction.atomic(using=conf().database):
            yield
    except IntegrityError as error:  # somebody was faster
        raise taken from error


def _refuse_too_many(view: SavedView) -> None:
    if SavedView.objects.filter(owner=view.owner).count() >= VIEWS_OF_ONE:
        raise NotAllowed(
            _("You have %(most)d views, and there is room for no more. Delete one.") % {"most": VIEWS_OF_ONE}
        )
    if view.is_shared and SavedView.objects.filter(is_shared=True).count() >= VIEWS_SHARED:
        raise NotAllowed(
            _("%(most)d views are shared, and there is room for no more. Delete one.") % {"most": VIEWS_SHARED}
        )


def _subject(view: SavedView) -> str:
    """Return the name under which the audit knows a view: two persons may use one name."""
    return f"{view.owner}: {view.name}"


def _conflict_over(view: SavedView) -> Conflict:
    entry = audit.last_act_about(_subject(view), Action.RENAME_VIEW, Action.DELETE_VIEW)
    if entry is None:
        return Conflict(_("This view has changed since you looked. Look again, then decide."))
    return overtaken_by(entry)
