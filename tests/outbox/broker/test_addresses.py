"""What an address of the broker may hold reaches our own connection as it reaches Celery's: lists, odd names, TLS."""

import os
import ssl
import subprocess
from datetime import timedelta
from urllib.parse import quote, urlsplit

import pytest

from config.processes.service_checks import why_no_broker
from outbox.broker.queues import celery_app, queue_name
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerRefuses
from tests.harness.ports import free_port, mute_port
from tests.harness.proxy import MUTE, REFUSING, Proxy
from tests.harness.tls import make_certificate, tls_port
from tests.outbox.broker.hints import bodies, hint
from tests.run import RABBITMQCTL

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]

PASSWORD = "p%4@#/:; ü?"


@pytest.fixture(autouse=True)
def _impatient(configure):
    configure(CONNECT_TIMEOUT=timedelta(seconds=1), CONFIRM_TIMEOUT=timedelta(seconds=2))


@pytest.fixture
def here(monkeypatch):
    """Return a function that gives the broker's address, or several, as the host's settings do."""
    return lambda address: monkeypatch.setitem(celery_app().conf, "broker_write_url", address)


@pytest.fixture
def proxies():
    proxies = [Proxy(celery_app().conf.broker_url) for _number in range(2)]
    yield proxies
    for proxy in proxies:
        proxy.close()


def rabbitmqctl(*arguments: str) -> None:
    subprocess.run([*RABBITMQCTL, "--quiet", *arguments], check=True, capture_output=True, timeout=60)


def may_do_ours(name: str, where: str = "/") -> None:
    ours = f"^{conf().prefix}\\."
    rabbitmqctl("set_permissions", "-p", where, name, ours, f"^({conf().prefix}\\.|amq\\.default).*", ours)


@pytest.fixture(scope="module")
def stranger():
    """A user with an odd password, who may use what begins with our prefix and nothing else, in an odd vhost too."""
    name, vhost = f"{conf().prefix}-{os.getpid()}", f"/{conf().prefix}/{os.getpid()}"
    try:
        rabbitmqctl("add_user", name, PASSWORD)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("rabbitmqctl cannot be used here")
    try:
        rabbitmqctl("add_vhost", vhost)
        for where in ("/", vhost):
            may_do_ours(name, where)
        yield name, vhost
    finally:
        rabbitmqctl("delete_user", name)
        rabbitmqctl("delete_vhost", vhost)


@pytest.fixture
def denied(stranger):
    """The same, who may use nothing for this test."""
    name, _vhost = stranger
    rabbitmqctl("set_permissions", "-p", "/", name, "^nothing$", "^nothing$", "^nothing$")
    yield name
    may_do_ours(name)


@pytest.mark.parametrize("as_list", [False, True])
def test_hints_go_to_the_second_address_while_the_first_does_not_answer(link, here, as_list):
    addresses = [f"amqp://guest:guest@127.0.0.1:{free_port()}//", celery_app().conf.broker_url]
    here(addresses if as_list else ";".join(addresses))

    assert link.depth("test.till") == 0
    assert link.send([hint(1)]) == []
    assert why_no_broker() == ""


def test_the_address_that_worked_is_the_first_to_be_tried_again(link, here, proxies):
    silent, sound = proxies
    silent.become(MUTE)
    here(f"{silent.url};{sound.url}")
    link.depth("test.till")
    before = sound.accepted.total()

    link.close()
    link.depth("test.till")

    assert silent.accepted.total() == 1
    assert sound.accepted.total() == before + 1


def test_a_broker_that_goes_away_is_left_for_the_next_and_found_again_when_that_goes(link, here, proxies):
    first, second = proxies
    here(f"{first.url};{second.url}")
    link.depth("test.till")
    before = first.accepted.total()

    first.become(REFUSING)
    link.abandon()
    missing = link.send([hint(1)])
    first.become("open")
    second.become(REFUSING)
    link.abandon()

    assert [*missing, *link.send([hint(2)])] == []
    assert first.accepted.total() == before + 1


def test_a_list_of_which_none_answers_is_a_broker_that_is_away(link, here):
    with mute_port() as mute:
        here(f"amqp://guest:guest@127.0.0.1:{free_port()}//;amqp://guest:guest@127.0.0.1:{mute}//")

        with pytest.raises(BrokerAway, match="the broker did not answer for"):
            link.depth("test.till")
        assert "does not answer" in why_no_broker()


@pytest.mark.parametrize("odd_vhost", [False, True])
def test_an_odd_password_and_vhost_and_rights_on_our_prefix_only_will_do(link, here, rabbit, stranger, odd_vhost):
    name, vhost = stranger
    there = urlsplit(celery_app().conf.broker_url)
    at = f"{quote(name, safe='')}:{quote(PASSWORD, safe='')}@{there.hostname}:{there.port or 5672}"
    here(f"amqp://{at}/{quote(vhost if odd_vhost else '/', safe='')}")

    assert link.depth("test.till") == 0
    assert link.send([hint(1)]) == []
    assert link.depth("test.till") == 1
    if not odd_vhost:
        assert bodies(rabbit) == [["test.till", [1]]]


def test_a_queue_that_the_user_has_no_right_to_is_refused_and_not_away(link, here, denied):
    there = urlsplit(celery_app().conf.broker_url)
    here(f"amqp://{quote(denied, safe='')}:{quote(PASSWORD, safe='')}@{there.hostname}:{there.port or 5672}//")

    with pytest.raises(BrokerRefuses, match="ACCESS_REFUSED") as info:
        link.depth("test.till")

    assert (info.value.queue, info.value.details["code"]) == (queue_name("test.till"), 403)
    assert info.value.details["user"] == denied


def test_tls_as_celery_s_settings_have_it_is_spoken_with_every_address(link, here, rabbit, monkeypatch, tmp_path):
    certificate, key = make_certificate(tmp_path)
    options = {"ca_certs": str(certificate), "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "localhost"}
    monkeypatch.setitem(celery_app().conf, "broker_use_ssl", options)
    upstream = urlsplit(celery_app().conf.broker_url).port or 5672
    with tls_port(certificate, key, upstream) as port:
        here(f"amqp://guest:guest@127.0.0.1:{free_port()}//;amqp://guest:guest@127.0.0.1:{port}//")

        assert link.depth("test.till") == 0
        assert link.send([hint(1)]) == []
        link.abandon()

    assert rabbit.queue_declare(queue_name("test.till"), passive=True).message_count == 1
