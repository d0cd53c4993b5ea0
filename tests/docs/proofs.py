"""What must be true of the manual's pages once their code stands in a project, and what happens meanwhile."""

PROOFS = {
    "README": """
        from myshop.services import pay
        from outbox.testing import deliver_pending
        pay(account, 120)
        assert [delivery.outcomes for delivery in deliver_pending()] == [("success",)]
        account.refresh_from_db()
        assert account.points == 120
        """,
    "consumers": """
        from outbox.testing import deliver_pending
        outcomes = {(each.message.topic, each.message.consumer, each.outcomes) for each in deliver_pending()}
        assert ("order.paid", "myshop.add_points", ("success",)) in outcomes
        assert {outcome for *_, outcome in outcomes} == {("success",)}
        account.refresh_from_db()
        assert account.points == 120
        shipment = Shipment.objects.get(number__startswith="parcel")
        from outbox.admin.finders import find_keys
        assert find_keys(shipment.number) == ({"order.*": [str(shipment.order_id)]}, False)
        assert find_keys("nothing") == ({}, False)
        """,
    "after-publishing": """
        from outbox.testing import deliver_pending
        message = Message.objects.get(topic="order.due")
        assert (message.status, message.payload) == ("pending", {"bounced": True})
        assert message.not_before <= message.due_at
        [delivery] = deliver_pending("myshop.cancel_unpaid")
        assert delivery.outcomes == ("success",)
        assert Shipment.objects.get(order=order).state == "cancelled"
        """,
    "half-messages": """
        import os, tempfile
        from pathlib import Path
        from myshop import draws, stock, warehouse
        from outbox import prepare
        from outbox.models import Half
        from outbox.testing import check_back_halves, deliver_pending
        from tests.harness.redis_server import redis_server
        from myshop.ordering import order_stock
        order_stock("4711", 7)
        assert Half.objects.get(key="4711").state == "published"

        def order(key, *, reaches):
            try:
                with prepare("stock.ordered", key=key, payload={}, check="warehouse.orders") as half:
                    if reaches:
                        warehouse.order_at_warehouse(half.write_id, key)
                    raise TimeoutError
            except TimeoutError:
                return half.write_id

        reached, lost = order("1", reaches=True), order("2", reaches=False)
        assert check_back_halves() == {reached: "published", lost: "taken_back"}
        try:
            warehouse.order_at_warehouse(lost, "2")
        except Exception as error:
            assert "UNIQUE" in str(error)
        else:
            raise AssertionError("a void id was written")
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            os.environ["REDIS_URL"] = server.url
            server.client.set("pieces", 1)
            assert draws.draw(account, "r1") is not None
            assert draws.draw(account, "r2") is None
            assert sorted(Half.objects.filter(topic="piece.taken").values_list("key", "state")) == [
                ("r1", "published"),
                ("r2", "taken_back"),
            ]
            assert server.client.get("pieces") == "0"
            server.client.set("pieces", 1)
            try:
                with prepare(
                    "piece.taken", key="r3", payload={}, check="draws.committed", otherwise="piece.given_back"
                ) as half:
                    assert stock.take(half.write_id)
                    raise TimeoutError
            except TimeoutError:
                pass
            assert server.client.get("pieces") == "0"
            assert check_back_halves() == {half.write_id: "taken_back"}
            deliver_pending("myshop.give_back")
            assert server.client.get("pieces") == "1"
            deliver_pending()
            assert server.client.get("pieces") == "1"
        """,
    "redis-guard": """
        import tempfile
        from pathlib import Path
        from django.test import override_settings
        from django.conf import settings
        from myshop.consumers import SENT, send_sms
        from outbox.testing import deliver_pending
        from tests.harness.redis_server import redis_server
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            with override_settings(OUTBOX={**settings.OUTBOX, "REDIS_URL": server.url}):
                with transaction.atomic():
                    publish("sms.due", key="1", payload={"text": "hello"})
                [delivery] = deliver_pending(send_sms)
                assert delivery.outcomes == ("success",)
                send_sms(delivery.message)
                assert SENT == ["hello"]
        """,
    "ordering": """
        from outbox.testing import deliver_pending
        shipment = Shipment.objects.create(order=order, state="packed", version=2)
        with transaction.atomic():
            for version, state in [(3, "sent"), (1, "ordered")]:
                payload = {"shipment": shipment.pk, "version": version, "state": state}
                publish("shipment.changed", key=f"{shipment.pk}:{version}", payload=payload)
        assert len(deliver_pending("myshop.keep_the_newest")) == 2
        shipment.refresh_from_db()
        assert (shipment.state, shipment.version) == ("sent", 3)
        """,
    "rehearsal": """
        from outbox import registry
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("points.granted", key="1", payload={"account": account.pk, "points": 7})
        assert [delivery.outcomes for delivery in deliver_pending("myshop.grant_points")] == [("success",)]
        account.refresh_from_db()
        assert account.points == 7
        assert registry.get("myshop.grant_points").rehearsable
        """,
    "editing": """
        from outbox import registry
        from outbox.admin.edit_forms import form_of
        assert registry.get("myshop.send").locked == ("order", "amount")
        assert list(form_of("myshop.send").base_fields) == ["street", "city", "gift_note"]
        """,
    "books": """
        from outbox.books.declaring import get_book
        from outbox.books.keeping import read_book
        from outbox.models import BookDifference
        from outbox.testing import deliver_pending
        orders = get_book("orders")
        since = order.placed_at - timedelta(hours=2)
        Order.objects.update(placed_at=order.placed_at - timedelta(hours=1))
        read_book(orders, since=since)
        assert [one.kind for one in BookDifference.objects.unexplained()] == ["no_message"]
        with transaction.atomic():
            publish("order.paid", key=order.pk, payload={"account": account.pk, "points": 5})
        deliver_pending()
        read_book(orders, since=since)
        assert not BookDifference.objects.unexplained().exists()
        """,
    "testing": "",
    "settings": """
        from outbox.conf import conf
        assert (conf().prefix, conf().keep_finished) == ("myproject", timedelta(days=90))
        """,
    "upgrade": """
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("order.paid", key=order.pk, payload={})
        assert [delivery.outcomes for delivery in deliver_pending("myshop.add_points")] == [("success",)]
        assert [delivery.outcomes for delivery in deliver_pending("myshop.book")] == [("success",)]
        """,
    "moving": """
        from outbox.testing import deliver_pending
        assert [delivery.outcomes for delivery in deliver_pending("myshop.add_points")] == [("success",)]
        account.refresh_from_db()
        assert account.points == 120
        """,
    "vendors": """
        import httpx
        from myshop import consumers
        from outbox.testing import deliver_pending
        seen = []

        def vendor(request):
            seen.append(request.headers["Idempotency-Key"])
            busy = {"status_code": 429, "headers": {"Retry-After": "7"}}
            return httpx.Response(**busy if len(seen) == 1 else {"status_code": 200, "json": {"number": "A 1"}})

        consumers.client = httpx.AsyncClient(transport=httpx.MockTransport(vendor))
        with transaction.atomic():
            publish("order.paid", key=order.pk, payload={})
        [delivery] = deliver_pending(ignore_waits=True)
        assert delivery.outcomes == ("unavailable", "success")
        assert seen == [delivery.message.idempotency_key] * 2
        assert Gift.objects.get().number == "A 1"

        from myshop import questions
        book = {delivery.message.idempotency_key: [{"number": "A 1"}]}

        def look(request):
            return httpx.Response(200, json=book.get(request.url.params["idempotency_key"], []))

        questions.client = httpx.Client(base_url="https://vendor.example", transport=httpx.MockTransport(look))
        assert questions.find_order(delivery.message) == "A 1"
        book.clear()
        assert questions.find_order(delivery.message) is None

        from outbox.models import Exchange
        heard = httpx.MockTransport(lambda request: httpx.Response(200, text="parcel 7"))
        consumers.vendor = httpx.Client(base_url="https://vendor.example", transport=heard)
        with transaction.atomic():
            publish("parcel.due", key=order.pk, payload={"to": "Bonn"})
        [delivery] = deliver_pending("myshop.order_parcel")
        exchange = Exchange.objects.get(message=delivery.message)
        assert (delivery.outcomes, exchange.answer) == (("success",), "parcel 7")
        """,
    "receiving": """
        from outbox.testing import receive_from
        account.refresh_from_db()
        assert account.points == 120
        assert receive_from("partner", {"account": 1}, message_id="17", type="points_given") == "other_content"
        """,
    "sequences": """
        from outbox import registry
        from outbox.models import Gap, WatchedStream
        assert registry.get("myshop.orders").relay.sequence
        assert WatchedStream.objects.values_list("source", "high").get() == ("shop", 3)
        assert Gap.objects.values_list("end", flat=True).get() == "came"
        """,
    "by-hand": """
        from django.db.models import F
        from django.db.models.functions import Now
        from outbox import operate
        from outbox.models import HandledAs
        shipment = Shipment.objects.create(order=order, state="packed")
        with transaction.atomic():
            publish("shipment.packed", key=shipment.pk, payload={})
        given_up = {"attempts": F("attempt_limit"), "finished_at": Now(), "exhausted_at": Now()}
        messages = Message.objects.filter(topic="shipment.packed")
        messages.update(status="failed", **given_up)
        by = {"actor": "anna", "reason": "by telephone"}
        handled = operate.mark_handled(
            messages.get().pk, revision=0, outcome=HandledAs.ISSUED, evidence="parcel 7", **by
        )
        shipment.refresh_from_db()
        assert (shipment.state, shipment.number) == ("sent by hand", "parcel 7")
        operate.reopen(handled.pk, revision=1, **by)
        shipment.refresh_from_db()
        assert (shipment.state, messages.get().status) == ("packed", "failed")
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("shipment.sorted", key=shipment.pk, payload={})
        deliver_pending("myshop.sort")
        deliver_pending("myshop.sort.exhausted")
        shipment.refresh_from_db()
        assert shipment.state == "waits for a person"
        """,
}
"""What must be true once a page's blocks stand in the project: the code does what the page says of it."""


CHECK = """
from django.core.management import call_command
call_command("check", fail_level="WARNING")
"""
"""What is wrong with the project once the page's code is in it."""


ONE_FAILED = """
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
User.objects.create_superuser("anna", password="secret")
with transaction.atomic():
    publish("order.paid", key=order.pk, payload={"account": account.pk, "points": 120})
given_up = {"attempts": F("attempt_limit"), "finished_at": Now(), "exhausted_at": Now()}
Message.objects.update(status="failed", **given_up)
"""
"""Somebody for whom a program may act, and a message for it to act on."""


FORWARDED = """
from outbox.testing import deliver_pending
with transaction.atomic():
    publish("order.paid", key=order.pk, payload={"order": order.pk, "points": 120})
assert {delivery.outcomes for delivery in deliver_pending("myshop.orders")} == {("success",)}
"""
"""What is published while the receivers of the page run."""


RECEIPTED = """
import time
from outbox.testing import deliver_pending
with transaction.atomic():
    publish("order.paid", key=order.pk, payload={"order": order.pk, "points": 120})
deliver_pending("myshop.invoices")
invoices = Message.objects.filter(consumer="myshop.invoices", key=order.pk)
until = time.monotonic() + 20
while time.monotonic() < until and invoices.get().status != "success":
    time.sleep(0.1)
assert invoices.get().status == "success"
"""
"""What is published while the receiver of the page and the reader of its receipts run."""
