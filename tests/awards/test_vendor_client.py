"""The vendor's client against a real HTTP server, in each of its moods."""

import http.server
import json
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured

from awards.channels import calls
from awards.channels import vendor as client
from awards.channels.vendor import KeyTaken, Order, OrderRequest
from awards.errors import VendorFailed, VendorRefused, VendorSilent, VendorUnavailable

REQUEST = OrderRequest(idempotency_key="key-1", sku="MUG-01", recipient="anna", award="award-1")
ORDER = Order(number="V-0000001", sku="MUG-01", award="award-1")


def test_an_order_is_placed_and_found_again(vendor):
    placed = client.place_order(REQUEST)

    assert placed == client.find_order("key-1") == ORDER
    assert client.find_order("key-2") is None
    assert [shipped.as_json() for shipped in vendor.book.everything()] == [
        {
            "order_number": "V-0000001",
            "idempotency_key": "key-1",
            "sku": "MUG-01",
            "recipient": "anna",
            "award": "award-1",
        }
    ]


def test_the_same_request_twice_is_one_order(vendor):
    assert client.place_order(REQUEST) == client.place_order(REQUEST)
    assert len(vendor.book.everything()) == 1


def test_a_key_used_for_something_else_is_told_apart(vendor):
    client.place_order(REQUEST)

    with pytest.raises(KeyTaken, match="V-0000001"):
        client.place_order(OrderRequest(idempotency_key="key-1", sku="PEN-02", recipient="anna", award="award-1"))


@pytest.mark.parametrize(
    ("mode", "error", "shipped"),
    [
        ({"busy": 1.0}, VendorUnavailable, 0),
        ({"fail": 1.0}, VendorFailed, 0),
        ({"refuse": ["MUG-01"]}, VendorRefused, 0),
        ({"hang": 1.0}, VendorSilent, 1),
        ({"cut": 1.0}, VendorSilent, 1),
    ],
)
def test_each_fault_has_its_own_error(vendor, mode, error, shipped):
    vendor.change(mode)

    with pytest.raises(error) as told:
        client.place_order(REQUEST)

    assert type(told.value) is error
    assert len(vendor.book.everything()) == shipped


def test_a_busy_vendor_says_503_and_429(vendor):
    vendor.change({"busy": 1.0})
    said = []

    for _ in range(2):
        with pytest.raises(VendorUnavailable) as told:
            client.place_order(REQUEST)
        said.append(str(told.value)[:24])

    assert said == ["the vendor is busy: 503 ", "the vendor is busy: 429 "]


def test_a_vendor_that_cannot_be_reached_is_away(settings):
    settings.VENDOR_URL = "http://127.0.0.1:1"

    with pytest.raises(VendorUnavailable, match="cannot be reached"):
        client.place_order(REQUEST)


class Odd(http.server.BaseHTTPRequestHandler):
    """A server that answers every request with what the test wants."""

    answer: tuple[int, bytes, dict[str, str]] = (200, b"", {})
    drip: float = 0.0
    asked: list[str] = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        status, body, headers = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for byte in body if self.drip else ():
            self.wfile.write(bytes([byte]))
            self.server.closing.wait(self.drip)
        if not self.drip:
            self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *args):
        pass


@pytest.fixture
def odd(settings):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    server.daemon_threads = True
    server.handle_error = lambda *args: None
    server.closing = threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.VENDOR_URL = f"http://127.0.0.1:{server.server_port}"
    settings.VENDOR_TIMEOUT = 0.4
    settings.VENDOR_CONNECT_TIMEOUT = 0.4
    Odd.answer, Odd.drip, Odd.asked = (200, b"", {}), 0.0, []
    yield Odd
    server.closing.set()
    server.shutdown()
    server.server_close()


def an_order(**changes) -> bytes:
    return json.dumps({"order_number": "V-1", "sku": "MUG-01", "award": "award-1", **changes}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        an_order(order_number=7),
        an_order(order_number=""),
        an_order(order_number="x" * 101),
        an_order(order_number="a\0b"),
        an_order(award=None),
    ],
)
def test_an_answer_that_is_no_order_is_not_believed(odd, body):
    odd.answer = (201, body, {})

    with pytest.raises(VendorFailed):
        client.place_order(REQUEST)


def test_an_endless_answer_is_cut_off(odd):
    odd.answer = (201, b" " * (calls.ANSWER_LIMIT + 1), {})

    with pytest.raises(VendorFailed, match="longer than"):
        client.place_order(REQUEST)


def test_an_answer_that_drips_does_not_hold_us_for_ever(odd):
    odd.answer, odd.drip = (201, an_order(), {}), 0.1

    with pytest.raises(VendorSilent, match="too long"):
        client.place_order(REQUEST)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(odd, status):
    odd.answer = (status, b"", {"Location": "/elsewhere"})

    with pytest.raises(VendorFailed, match=str(status)):
        client.place_order(REQUEST)

    assert odd.asked == ["/orders"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_client_error_is_a_refusal_for_good(odd, status):
    odd.answer = (status, b"no", {})

    with pytest.raises(VendorRefused, match=f"{status} no"):
        client.place_order(REQUEST)


@pytest.mark.parametrize(
    ("url", "hosts", "wrong"),
    [
        ("http://169.254.169.254", ["127.0.0.1"], "not in VENDOR_ALLOWED_HOSTS"),
        ("http://127.0.0.1.evil.example", ["127.0.0.1"], "not in VENDOR_ALLOWED_HOSTS"),
        ("file:///etc/passwd", [""], "must be http"),
        ("http://user:secret@127.0.0.1", ["127.0.0.1"], "without a password"),
        ("http://[::1", ["::1"], "not an address"),
    ],
)
def test_only_the_vendor_that_is_allowed_is_ever_called(settings, url, hosts, wrong):
    settings.VENDOR_URL, settings.VENDOR_ALLOWED_HOSTS = url, hosts

    with pytest.raises(ImproperlyConfigured, match=wrong):
        client.place_order(REQUEST)


@pytest.mark.parametrize("seconds", [0, -1, 61, "5", True])
def test_a_time_limit_must_be_one(settings, seconds):
    settings.VENDOR_TIMEOUT = seconds

    with pytest.raises(ImproperlyConfigured, match="VENDOR_TIMEOUT"):
        client.find_order("key-1")
