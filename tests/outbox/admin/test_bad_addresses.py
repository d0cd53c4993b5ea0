"""An address or a form with a character that no database can hold leads nowhere, and is no error of the server."""

import pytest
from django.test import Client

from outbox.models import BulkOperation, Message
from tests.harness.desk import user, wins

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESSES = [
    "message/?consumer=%00",
    "message/?group=%00",
    "message/?within=%00&tab=%00&after=%00",
    "message/?q=%00",
    "message/arrivals/?consumer=%00&since=%00",
    "message/export/?format=csv&consumer=%00&within=%00",
    "message/%00/change/",
    "message/%00/edit/",
    "failuregroup/?consumer=%00&tab=%00&page=%00",
    "failuregroup/%00/change/",
    "consumerstate/%00/change/",
    "bulkoperation/%00/change/",
    "bulkoperation/?tab=%00&page=%00",
    "apitoken/%00/change/",
    "half/%00/change/",
    "half/?state=%00",
    "half/?page=%00",
    "apitoken/?page=%00",
    "auditentry/?act=%00",
    "auditentry/?about=%00&actor=%00&reason=%00&operation=%00",
    "auditentry/?from=%00&to=2026-13-45&within=%00&after=%00&before=%00",
    "auditentry/?from=0001-01-01&to=9999-12-31&operation=99999999999999999999",
    "auditentry/export/?format=csv&act=%00&from=9999-99-99",
    "auditentry/%00/change/",
]


@pytest.fixture
def lead(client: Client) -> Client:
    client.force_login(user("lena", is_superuser=True))
    wins.failed("7")
    return client


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_names_nothing_is_answered(lead: Client, address: str) -> None:
    answer = lead.get(f"/admin/outbox/{address}", follow=True)

    assert answer.status_code in (200, 404)


@pytest.mark.parametrize("came_from", ["consumer%3D%2500", "group%3D%2500", "%00", "within%3D%2500%26mine%3D%2500"])
def test_so_is_a_message_to_which_one_came_from_there(lead: Client, came_from: str) -> None:
    message = Message.objects.get()

    answer = lead.get(f"/admin/outbox/message/{message.pk}/change/?_changelist_filters={came_from}")

    assert answer.status_code == 200


@pytest.mark.parametrize("posted", [{"group": "\0"}, {"all": "1", "consumer": "\0"}, {"pick": "\0:0"}, {"of": "\0"}])
@pytest.mark.parametrize("verb", ["retry", "edit", "\0"])
def test_so_is_a_form(lead: Client, posted: dict[str, str], verb: str) -> None:
    answer = lead.post("/admin/outbox/bulkoperation/prepare/", {**posted, "verb": verb}, follow=True)

    assert answer.status_code == 200
    assert not BulkOperation.objects.exists()
