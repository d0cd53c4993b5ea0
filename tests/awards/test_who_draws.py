"""Who draws, and by which request: what can be written down, and what is the same."""

import pytest

from awards.errors import InvalidPerson, InvalidRequestId
from awards.persons import identity
from awards.services import draws
from tests.awards.given import Highest, a_campaign, a_draw

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("person", ["", "   ", "a\0b", "a\x1bb", "\ud800", "x" * 201])
def test_a_person_who_cannot_be_written_down_is_refused(person):
    campaign = a_campaign()

    with pytest.raises(InvalidPerson):
        a_draw(campaign, person)


@pytest.mark.parametrize(
    "character",
    list("\t\n\x1f\x7f\x85\xad\u061c\u115f\u180e\u200b\u200d\u200e\u2028\u202e\u2066\u2800\u3164\ufeff\U000e0041"),
)
@pytest.mark.parametrize("person", ["an{}na", "anna{}", "{}anna@example.com"])
def test_nobody_is_told_from_another_by_what_is_not_seen(character, person):
    with pytest.raises(InvalidPerson):
        identity(person.format(character))


@pytest.mark.parametrize("request_id", ["", "x" * 101, "with space", "umläut", "a\nb", "redraw-1"])
def test_a_request_id_that_cannot_be_kept_is_refused(request_id):
    campaign = a_campaign()

    with pytest.raises(InvalidRequestId):
        draws.draw_ticket(campaign, person="anna", request_id=request_id, luck=Highest())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Anna  Maria ", "Anna Maria"),
        ("ANNA@Example.COM", "anna@example.com"),
        ("Jose\u0301", "José"),
        ("王小明", "王小明"),
        ("Ольга Ёлкина", "Ольга Ёлкина"),
        ("محمد", "محمد"),
        ("अनिता", "अनिता"),
        ("anna 🎉", "anna 🎉"),
    ],
)
def test_a_person_is_the_same_however_the_name_is_typed(given, kept):
    assert identity(given) == kept
