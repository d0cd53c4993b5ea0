"""What ``DATABASE_URL`` says is meant: it wins over what the project would say itself."""

import pytest

from config import addresses

ADDRESS = "postgres://ada:p%40ss@db:5432/shop"
OURS = "-c client_connection_check_interval=2s -c idle_in_transaction_session_timeout=30s"


@pytest.mark.parametrize(
    ("query", "options", "cursors"),
    [
        ("", OURS, True),
        ("?options=-c%20work_mem%3D9MB", "-c work_mem=9MB", True),
        ("?options=", None, False),
    ],
)
def test_options_of_the_address_are_not_overwritten_and_none_are_none(query, options, cursors):
    found = addresses.database(ADDRESS + query)

    assert found["OPTIONS"].get("options") == options
    assert found["DISABLE_SERVER_SIDE_CURSORS"] is not cursors
    assert found["PASSWORD"] == "p@ss"


def test_keepalives_of_the_address_win():
    found = addresses.database(f"{ADDRESS}?keepalives_idle=3&connect_timeout=1")

    assert (found["OPTIONS"]["keepalives_idle"], found["OPTIONS"]["connect_timeout"]) == (3, 1)
    assert found["OPTIONS"]["keepalives_count"] == 3


@pytest.mark.parametrize(("query", "age"), [("?pool=true", 0), ("?pool=false", 60), ("", 60)])
def test_a_pool_keeps_the_connections_alone(query, age):
    found = addresses.database(ADDRESS + query)

    assert found["CONN_MAX_AGE"] == age
    assert found["CONN_HEALTH_CHECKS"] is True
