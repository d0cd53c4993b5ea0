"""What the tests of the awards share, and people with more and fewer permissions."""

from importlib import import_module

import pytest
from django.contrib.auth.models import Permission

from tests.awards.admin.everything import business, consumers
from tests.awards.conftest import no_hints, plain_static_files

__all__ = ["business", "consumers", "no_hints", "plain_static_files"]


@pytest.fixture
def manager(django_user_model):
    """Somebody with the permissions of the group that the migrations make."""
    user = django_user_model.objects.create_user("maria", password="x", is_staff=True)
    permissions = import_module("awards.migrations.0001_initial").PERMISSIONS
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="awards", codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return user


@pytest.fixture
def desk(client, manager):
    client.force_login(manager)
    return client
