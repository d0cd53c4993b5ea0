"""Views of the work queue under a name: whose they are, how many, and who may change them."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from outbox import operate
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, SavedView
from outbox.operate import saved_views
from tests.harness.desk import user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> User:
    return user("ada", "view_message", "save_view")


@pytest.fixture
def chief(db: None) -> User:
    return user("chief", "view_message", "save_view", "tend_views")


def save(name: str = "gifts", query: str = "tab=failed", *, actor: Any, **given: Any) -> SavedView:
    return operate.save_view(name, query, actor=actor, **given)


def test_a_view_is_saved_renamed_and_deleted_by_its_owner_and_the_audit_tells(ada: User) -> None:
    view = save(" gifts ", actor=ada, origin="10.0.0.7")

    renamed = operate.rename_view(view.pk, "gifts that failed", revision=0, actor=ada)
    operate.delete_view(view.pk, revision=renamed.revision, actor=ada)

    assert (view.owner, view.name, view.query, view.is_shared) == ("ada", "gifts", "tab=failed", False)
    assert not SavedView.objects.exists()
    told = AuditEntry.objects.order_by("id").values_list("actor", "action", "subject")
    assert list(told) == [
        ("ada", "save_view", "ada: gifts"),
        ("ada", "rename_view", "ada: gifts"),
        ("ada", "delete_view", "ada: gifts that failed"),
    ]


def test_one_has_ones_own_and_those_that_others_share(ada: User) -> None:
    save("zebra", actor=ada)
    save("bob's own", actor="bob")
    save("all gifts", actor="bob", is_shared=True)

    assert [view.name for view in SavedView.objects.offered_to("ada")] == ["zebra", "all gifts"]


def test_what_another_shares_takes_the_permission_and_what_he_keeps_is_not_there(ada: User, chief: User) -> None:
    shared, kept = save("shared", actor="bob", is_shared=True), save("kept", actor="bob")

    with pytest.raises(NotAllowed, match=r"outbox\.tend_views"):
        operate.delete_view(shared.pk, revision=0, actor=ada)
    for someone in (ada, chief):
        with pytest.raises(Conflict, match="no longer there"):
            operate.rename_view(kept.pk, "mine", revision=0, actor=someone)
    assert operate.rename_view(shared.pk, "ours", revision=0, actor=chief).owner == "bob"


def test_saving_takes_the_permission_a_name_and_no_name_twice(ada: User) -> None:
    with pytest.raises(NotAllowed, match=r"outbox\.save_view"):
        save(actor=user("stranger", "view_message"))
    with pytest.raises(NotAllowed, match="Give the view a name"):
        save("  ", actor=ada)
    with pytest.raises(NotAllowed, match="too long"):
        save("x" * 61, actor=ada)
    save(actor=ada)
    other = save("other", actor=ada)
    with pytest.raises(NotAllowed, match="of that name already"):
        save(actor=ada)
    with pytest.raises(NotAllowed, match="of that name already"):
        operate.rename_view(other.pk, "gifts", revision=0, actor=ada)

    assert save(actor="bob").name == "gifts"


def test_their_number_has_bounds(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "VIEWS_OF_ONE", 2)
    monkeypatch.setattr(saved_views, "VIEWS_SHARED", 1)
    save("1", actor=ada, is_shared=True)
    with pytest.raises(NotAllowed, match="1 views are shared"):
        save("2", actor=ada, is_shared=True)
    save("2", actor=ada)

    with pytest.raises(NotAllowed, match="You have 2 views"):
        save("3", actor=ada)

    assert AuditEntry.objects.count() == SavedView.objects.count() == 2


def test_the_second_who_changes_a_shared_view_is_told_of_the_first(chief: User) -> None:
    view = save("shared", actor="bob", is_shared=True)
    operate.rename_view(view.pk, "ours", revision=0, actor="bob")

    with pytest.raises(Conflict, match="changed since you looked"):
        operate.delete_view(view.pk, revision=0, actor=chief)

    assert SavedView.objects.get().name == "ours"
