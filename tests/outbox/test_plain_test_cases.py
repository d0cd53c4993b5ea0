"""Django's own TestCase, as a host writes it: its transaction is the test's, and not the caller's."""

import pytest
from django.db import transaction
from django.test import TestCase

from outbox import publish
from outbox.conf import conf
from outbox.errors import OutboxError, OutsideTransaction
from outbox.testing import captured_messages, deliver_pending


class PlainTestCase(TestCase):
    databases = "__all__"

    @classmethod
    def setUpTestData(cls) -> None:
        with transaction.atomic():
            publish("shop.sold", key="for all tests", payload={})

    def test_publishing_in_no_block_of_ones_own_is_refused(self) -> None:
        with pytest.raises(OutsideTransaction):
            publish("shop.sold", key="1", payload={})

    def test_what_a_block_published_is_delivered_and_taken_back_with_the_test(self) -> None:
        with captured_messages() as messages, transaction.atomic():
            publish("shop.sold", key="1", payload={})

        assert [message.key for message in messages] == ["1"]
        assert [one.outcomes for one in deliver_pending("shop.book")] == [("success",), ("success",)]

    def test_what_was_published_for_all_tests_is_there_for_each(self) -> None:
        assert [one.message.key for one in deliver_pending("shop.book")] == ["for all tests"]

    def test_within_a_block_of_ones_own_nothing_is_delivered(self) -> None:
        with transaction.atomic(), pytest.raises(OutboxError):
            deliver_pending()

    def test_the_hint_is_among_what_would_be_done_on_commit(self) -> None:
        with self.captureOnCommitCallbacks(using=conf().database) as hooks, transaction.atomic():
            publish("shop.sold", key="1", payload={})

        assert len(hooks) == 1
