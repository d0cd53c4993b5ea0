"""A person is forgotten while something about her is being written: it is hers as a whole, or nobody's."""

import pytest
from django.core.management import CommandError
from django.db import transaction

from awards.claims import expiry
from awards.claims.erasure import erase_person
from awards.clients import imports
from awards.models import Award, Draw, Entitlement, ImportPart, Participation
from outbox import operate
from tests.awards.claims.given import PERSONAL
from tests.awards.claims.test_erasure import erase, where_she_is
from tests.awards.claims.test_expiry import a_redrawn
from tests.awards.clients.given import a_closed_campaign, an_entitlement
from tests.awards.given import Highest, Sequence, a_campaign, a_draw, a_gift
from tests.awards.test_closed_by_hand import fail
from tests.harness.threads import uncommitted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

WHO = PERSONAL[0]


def forget() -> str:
    return erase_person(WHO, erase_messages=lambda _ids, _alias: None)


@pytest.mark.parametrize("before", [0, 1])
def test_who_wins_at_the_same_moment_is_not_forgotten_at_her_first_draw_or_a_later_one(before):
    campaign = a_campaign(losing_weight=5)
    a_gift(campaign, stock=3)
    for _ in range(before):
        a_draw(campaign, WHO, luck=Sequence(0))
    an_entitlement(a_closed_campaign("earned"), WHO)

    with uncommitted(lambda: a_draw(campaign, WHO)), pytest.raises(CommandError, match="still to be issued or claimed"):
        erase()

    assert set(Draw.objects.values_list("person", flat=True)) == {WHO}
    assert Award.objects.get().person == WHO


def test_who_draws_nothing_at_the_same_moment_is_forgotten_with_that_draw():
    campaign = a_campaign(losing_weight=5)
    a_gift(campaign, stock=3)
    an_entitlement(a_closed_campaign("earned"), WHO)

    with uncommitted(lambda: a_draw(campaign, WHO, luck=Sequence(0))):
        erase()

    assert where_she_is() == []
    assert [each.draws for each in Participation.objects.all()] == [1]


def test_who_draws_while_she_is_being_forgotten_is_somebody_new():
    campaign = a_campaign(losing_weight=5)
    a_gift(campaign, stock=3)
    lost = a_draw(campaign, WHO, luck=Sequence(0))

    with uncommitted(forget):
        won = a_draw(campaign, WHO)

    lost.refresh_from_db()
    assert (lost.person.startswith("erased-"), won.person, won.award.person) == (True, WHO, WHO)
    assert Participation.objects.get(person=WHO).draws == 1


def test_whose_award_is_opened_again_at_the_same_moment_is_not_forgotten():
    campaign = a_campaign()
    a_gift(campaign, stock=1)
    message = fail(a_draw(campaign, WHO).award)
    closed = operate.discard(message.pk, revision=message.revision, actor="ada", reason="a test")

    def reopen() -> None:
        operate.reopen(message.pk, revision=closed.revision, actor="ada", reason="a mistake")

    with uncommitted(reopen), pytest.raises(CommandError, match="still to be issued or claimed"):
        erase()

    assert Award.objects.get().person == WHO


def test_a_redraw_at_the_same_moment_does_not_give_the_prize_to_who_is_forgotten():
    expired = a_redrawn(WHO)
    Award.objects.filter(pk=expired.pk).update(person="carla")

    def redraw() -> None:
        with transaction.atomic():
            expiry.redraw(expired.pk, Highest())

    with uncommitted(forget):
        redraw()

    assert not Draw.objects.filter(redraw_of__isnull=False, person=WHO).exists()
    assert not Award.objects.filter(person=WHO).exists()


def a_list() -> int:
    imports.begin_import(a_closed_campaign("listed"), [(WHO, "order 1")], actor="maria", expires_at=None)
    an_entitlement(a_closed_campaign("earned"), WHO)
    return ImportPart.objects.get().pk


def test_who_is_written_by_a_list_at_the_same_moment_is_forgotten_there_as_well():
    part = a_list()

    with uncommitted(lambda: imports.write_part(part)):
        erase()

    assert where_she_is() == []
    assert Entitlement.objects.count() == 2


def test_who_is_forgotten_while_a_list_is_read_is_not_written_by_it():
    part = a_list()

    with uncommitted(forget), transaction.atomic():
        imports.write_part(part)

    assert where_she_is() == []
    assert Entitlement.objects.count() == 2
