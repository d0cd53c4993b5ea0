"""For the tests of a host project: run consumers without broker, worker or commit.

In a ``TestCase`` nothing is ever committed, so no hint is sent and no worker could see the message. Deliver it
yourself, in the test's own transaction, through the same loop that a worker runs::

    from django.test import TestCase
    from outbox.testing import captured_messages, deliver_pending

    class PaymentTest(TestCase):
        def test_a_paid_order_earns_points(self):
            with captured_messages() as messages:
                pay(order)

            self.assertEqual([(m.topic, m.key) for m in messages], [("order.paid", "17")])
            [delivery] = deliver_pending(add_points)
            self.assertEqual(delivery.outcomes, ("success",))
            self.assertEqual(account.points, 120)

        def test_a_shipper_that_is_down_is_asked_again(self):
            shipper.fails(times=2)
            pay(order)

            [delivery] = deliver_pending("orders.tell_the_shipper", ignore_waits=True)
            self.assertEqual(delivery.outcomes, ("unavailable", "unavailable", "success"))

It works alike in ``TestCase`` and ``TransactionTestCase``, on PostgreSQL and SQLite. The transaction of the
``TestCase`` is the test's own: ``publish`` outside ``atomic()`` is refused in it as anywhere. Two things a ``TestCase``
cannot show: constraints that are checked at COMMIT, and that what an ``atomic=False`` consumer writes is not taken back
when it fails. Where a test commits, ``silenced`` keeps hints from being sent.
"""

from outbox.testing.delivering import Delivery, captured_messages, deliver_pending
from outbox.testing.halves import check_back_halves
from outbox.testing.hints import silenced
from outbox.testing.outside import Forwarded, captured_forwards, deliver_receipt, receive_from

__all__ = [
    "Delivery",
    "Forwarded",
    "captured_forwards",
    "captured_messages",
    "check_back_halves",
    "deliver_pending",
    "deliver_receipt",
    "receive_from",
    "silenced",
]
