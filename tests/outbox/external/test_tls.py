"""Forwarding by TLS: the certificate must be right, and what is wrong with it is said in words."""

from urllib.parse import urlsplit

import pytest

from outbox.delivery import chunks
from outbox.models import Attempt
from tests.harness.messages import publish_message, state_of
from tests.harness.subscribers import pika_subscriber
from tests.harness.tls import let_expire, make_certificate, tls_port
from tests.outbox.external.conftest import NAME

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]


@pytest.fixture
def certificate(tmp_path):
    """A certificate for ``localhost`` with its key."""
    return make_certificate(tmp_path)


@pytest.fixture
def speak(lead, broker_url, configure):
    """Forward one message by TLS; return where it stands and what was said."""

    def speak(certificate, key, host="localhost", **options):
        with tls_port(certificate, key, urlsplit(broker_url).port or 5672) as port:
            address = f"amqps://guest:guest@{host}:{port}//"
            partner = {"URL": address, "SSL": {name: str(value) for name, value in options.items()}}
            configure(BROKERS={"partner": partner if options else address})
            lead(broker="partner")
            id = publish_message()
            chunks.deliver(NAME, [id])
        attempt = Attempt.objects.filter(message=id).first()
        return state_of(id), attempt.error if attempt else ""

    return speak


def test_the_right_certificate_will_do(speak, certificate, exchange, broker_url):
    with pika_subscriber(broker_url, exchange.name):
        state, said = speak(*certificate, ca_certs=certificate[0])

    assert (state.status, said) == ("success", "")


def test_without_a_word_on_tls_the_certificate_must_be_signed_by_somebody_known(speak, certificate):
    state, said = speak(*certificate)

    assert (state.status, state.attempt_limit - state.attempts) == ("pending", 3)
    assert "is signed by none of the authorities in the authorities of this machine" in said
    assert 'OUTBOX["BROKERS"]["partner"]["SSL"]["ca_certs"]' in said


def test_another_authority_is_refused(speak, certificate, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    state, said = speak(*certificate, ca_certs=make_certificate(other)[0])

    assert (state.status, state.attempt_limit - state.attempts) == ("pending", 3)
    assert "is signed by none of the authorities in" in said


def test_a_certificate_that_has_expired_is_refused(speak, certificate):
    let_expire(*certificate)

    state, said = speak(*certificate, ca_certs=certificate[0])

    assert (state.status, state.attempt_limit - state.attempts) == ("pending", 3)
    assert "has expired on" in said


def test_a_certificate_for_another_name_is_refused(speak, certificate):
    state, said = speak(*certificate, host="127.0.0.1", ca_certs=certificate[0])

    assert (state.status, state.attempt_limit - state.attempts) == ("pending", 3)
    assert "is for another name" in said
    assert 'correct OUTBOX["BROKERS"]["partner"]' in said
