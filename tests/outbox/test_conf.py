"""The host's settings: every key has a default, and what makes no sense is said at start-up."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured

from outbox.conf import Conf, conf


def test_every_key_has_a_default(settings):
    settings.OUTBOX = {}

    assert conf() == Conf()


def test_no_dict_at_all_is_an_empty_one(settings):
    del settings.OUTBOX

    assert conf() == Conf()


def test_a_key_is_the_name_of_a_setting_in_capitals(settings):
    settings.OUTBOX = {"PREFIX": "shop-2", "SEND_LIMIT": 7, "LEASE": timedelta(seconds=3)}

    assert conf() == Conf(prefix="shop-2", send_limit=7, lease=timedelta(seconds=3))


def test_a_change_of_the_settings_is_seen(settings):
    settings.OUTBOX = {"SEND_LIMIT": 7}
    before = conf().send_limit
    settings.OUTBOX = {"SEND_LIMIT": 8}

    assert (before, conf().send_limit) == (7, 8)


def test_all_that_is_wrong_is_named_at_once(settings):
    settings.OUTBOX = {"LEASE": 3, "PREFIX": "a b", "PREFIXX": "a"}

    with pytest.raises(ImproperlyConfigured, match=r"(?s)PREFIXX.*\n.*LEASE.*\n.*\"PREFIX\""):
        conf()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"PREFIXX": "a"}, r"OUTBOX has unknown keys \['PREFIXX'\]; did you mean 'PREFIX'\?; known are \["),
        ({"prefix": "a"}, r"OUTBOX has unknown keys \['prefix'\]"),
        ({"SEND_LIMIT": "7"}, r'OUTBOX\["SEND_LIMIT"\] must be of type int, not str'),
        ({"SEND_LIMIT": 7.0}, r'OUTBOX\["SEND_LIMIT"\] must be of type int, not float'),
        ({"SEND_LIMIT": True}, r'OUTBOX\["SEND_LIMIT"\] must be of type int, not bool'),
        ({"SEND_LIMIT": 0}, r'OUTBOX\["SEND_LIMIT"\] must be greater than zero'),
        ({"PROXIES": -1}, r'OUTBOX\["PROXIES"\] must be greater than zero'),
        ({"HIGH_WATER": -1}, r'OUTBOX\["HIGH_WATER"\] must be greater than zero'),
        ({"LEASE": 10}, r'OUTBOX\["LEASE"\] must be of type timedelta, not int'),
        ({"LEASE": timedelta(0)}, r'OUTBOX\["LEASE"\] must be greater than zero'),
        ({"LEASE": None}, r'OUTBOX\["LEASE"\] must be of type timedelta, not NoneType'),
        ({"PREFIX": ""}, r'OUTBOX\["PREFIX"\] must be 1 to 50 letters, digits, "-" and "_"'),
        ({"PREFIX": "a.b"}, r'OUTBOX\["PREFIX"\] must be 1 to 50 letters, digits, "-" and "_"'),
        ({"PREFIX": "a b"}, r'OUTBOX\["PREFIX"\] must be 1 to 50 letters, digits, "-" and "_"'),
        ({"PREFIX": "x" * 51}, r'OUTBOX\["PREFIX"\] must be 1 to 50 letters'),
        ({"PREFIX": "amq"}, r'OUTBOX\["PREFIX"\] must not be "amq"'),
        ({"PREFIX": 7}, r'OUTBOX\["PREFIX"\] must be of type str, not int'),
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_named(settings, given, error):
    settings.OUTBOX = given

    with pytest.raises(ImproperlyConfigured, match=error):
        conf()


@pytest.mark.parametrize("given", [None, ["PREFIX"], "shop"])
def test_settings_that_are_no_dict_are_refused_in_a_sentence(settings, given):
    settings.OUTBOX = given

    with pytest.raises(ImproperlyConfigured, match="OUTBOX must be a dict"):
        conf()
