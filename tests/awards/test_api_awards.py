"""The JSON endpoint of an award: how it stands, what came of it, and nothing that is nobody's business."""

import uuid

import pytest

from awards.consumers import issue_points
from awards.models import VendorOrder
from tests.awards.given import an_award_of_a_coupon, an_award_of_a_gift, an_award_of_points, hand_out, message_of
from tests.awards.test_api import client, told

pytestmark = pytest.mark.django_db


def test_an_award_of_points_tells_how_it_stands_before_and_after_issuing():
    award = an_award_of_points(value=50)
    path = f"/api/awards/{award.public_id}"

    before = client.get(path).json()
    issue_points(message_of(award))
    after = client.get(path).json()

    assert (before["status"], before["issued_at"], before["points_entry"]) == ("won", None, None)
    assert after["status"] == "issued"
    assert after["issued_at"]
    assert after["prize"] == {"name": "50 points", "kind": "points", "value": "50.00"}
    assert after["points_entry"]["points"] == 50
    assert after["vendor_order"] is None


def test_an_award_of_a_gift_tells_the_vendors_order_number():
    award = an_award_of_a_gift()
    VendorOrder.objects.create(award=award, number="V-7", idempotency_key="key", sku=award.vendor_sku)

    answer = client.get(f"/api/awards/{award.public_id}").json()

    assert answer["vendor_order"]["number"] == "V-7"


def test_an_award_of_a_coupon_tells_that_a_code_was_issued_and_keeps_it_out_of_logs():
    award = an_award_of_a_coupon()
    path = f"/api/awards/{award.public_id}"

    before = client.get(path).json()
    hand_out(award)
    after = client.get(path)

    assert before["coupon"] is None
    assert after.json()["coupon"]["code"] == "••••ABCD"
    assert after.json()["coupon"]["issued_at"]
    assert b"CODE-0001" not in after.content


def test_an_unknown_award_is_404_and_another_method_is_405():
    assert told(client.get(f"/api/awards/{uuid.uuid4()}")) == (404, "unknown_award")
    assert told(client.get("/api/awards/1")) == (404, "unknown_address")
    assert told(client.post(f"/api/awards/{uuid.uuid4()}")) == (405, "method_not_allowed")


def test_nobody_learns_from_an_award_who_has_won_it():
    award = an_award_of_points("anna@example.com")

    answer = client.get(f"/api/awards/{award.public_id}").content

    assert b"anna" not in answer
