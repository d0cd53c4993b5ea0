"""TLS that fails is named by its true cause: whose certificate, since when, which file."""

import ssl
import subprocess
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from config.processes.service_checks import why_no_broker
from outbox.broker.queues import celery_app
from outbox.errors import BrokerDistrusted
from outbox.maintenance.rescan import rescan
from tests.harness.clock import SECOND, let_pass
from tests.harness.messages import publish_message
from tests.harness.rows import all_is_well, rescanned
from tests.harness.tls import let_expire, make_certificate, tls_port
from tests.outbox.broker.hints import hint

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]


@pytest.fixture
def speak_tls(monkeypatch):
    """Return a function that sends us to a port of this machine by TLS, as Celery's settings have it."""

    def speak(port, **options):
        given = {"server_hostname": "localhost", **{name: str(value) for name, value in options.items()}}
        monkeypatch.setitem(celery_app().conf, "broker_use_ssl", {"cert_reqs": ssl.CERT_REQUIRED, **given})
        monkeypatch.setitem(celery_app().conf, "broker_write_url", f"amqp://guest:guest@127.0.0.1:{port}//")

    return speak


@pytest.fixture
def served(tmp_path):
    """Return a function that makes a certificate, which may have expired, and a port that shows it."""

    def serve(expired=False):
        certificate, key = make_certificate(tmp_path)
        if expired:
            let_expire(certificate, key)
        upstream = urlsplit(celery_app().conf.broker_url).port or 5672
        return certificate, tls_port(certificate, key, upstream)

    return serve


def ends(certificate) -> datetime:
    command = ["openssl", "x509", "-in", certificate, "-noout", "-enddate"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(said.strip().partition("=")[2]), UTC)


def refusal(link) -> str:
    with pytest.raises(BrokerDistrusted) as info:
        link.depth("test.till")
    return str(info.value)


def test_the_right_certificate_will_do(link, speak_tls, served):
    certificate, serving = served()
    with serving as port:
        speak_tls(port, ca_certs=certificate)

        assert link.depth("test.till") == 0
        assert link.send([hint(1)]) == []
        assert why_no_broker() == ""


def test_an_expired_certificate_is_named_with_its_date(link, speak_tls, served):
    certificate, serving = served(expired=True)
    ended = f"{ends(certificate):%Y-%m-%d %H:%M}"
    with serving as port:
        speak_tls(port, ca_certs=certificate)
        said = refusal(link)

        assert said.startswith(f"the certificate of RabbitMQ at 127.0.0.1:{port} has expired on {ended} UTC: give it a")
        assert why_no_broker() == f"There is no TLS with RabbitMQ: {said}."


def test_a_certificate_of_another_authority_is_named_with_the_file_that_lacks_it(link, speak_tls, served, tmp_path):
    _certificate, serving = served()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other, _key = make_certificate(elsewhere)
    with serving as port:
        speak_tls(port, ca_certs=other)

        assert f"127.0.0.1:{port} is signed by none of the authorities in {other} (self-signed" in refusal(link)


def test_a_certificate_for_another_name_a_file_that_is_missing_and_a_port_without_tls_are_named(
    link, speak_tls, served, tmp_path
):
    certificate, serving = served()
    with serving as port:
        speak_tls(port, ca_certs=certificate, server_hostname="rabbit.example")
        assert "is for another name (Hostname mismatch, certificate is not valid for 'rabbit.example'.)" in refusal(
            link
        )

        speak_tls(port, ca_certs=tmp_path / "gone.pem")
        assert f"cannot be read (No such file or directory): ca_certs {tmp_path / 'gone.pem'}" in refusal(link)

    plain = urlsplit(celery_app().conf.broker_url).port or 5672
    speak_tls(plain, ca_certs=certificate)
    assert refusal(link) == f"the port {plain} of 127.0.0.1 speaks no TLS, and Celery's broker_use_ssl asks for it"


@pytest.mark.usefixtures("transactional_db")
def test_status_names_it_while_the_rescan_runs_and_when_it_does_not(capsys, listen, speak_tls, served):
    listen()
    publish_message()
    let_pass(6 * SECOND)
    certificate, serving = served(expired=True)
    with serving as port:
        speak_tls(port, ca_certs=certificate)
        all_is_well()
        rescan()
        with pytest.raises(SystemExit):
            call_command("outbox_status")
        running = capsys.readouterr().out
        rescanned(90 * SECOND)
        with pytest.raises(SystemExit):
            call_command("outbox_status")
        overdue = capsys.readouterr().out

    assert "There is no TLS with RabbitMQ: the certificate of RabbitMQ at 127.0.0.1:" in running
    assert "has expired on" in running
    assert "There is no TLS with RabbitMQ: the certificate of RabbitMQ at 127.0.0.1:" in overdue
    assert "start RabbitMQ" not in overdue
