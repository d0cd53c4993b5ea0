"""What is read for those who ask."""

import pytest

from awards.selectors import awards as selectors
from tests.awards.given import an_award_of_points

pytestmark = pytest.mark.django_db


def test_an_award_is_found_by_the_key_of_its_message():
    award = an_award_of_points()

    found = selectors.awards_by_key([str(award.pk), "no number", "999999999"])

    assert found == {str(award.pk): award}
