"""The operators' desk in Django's admin. A project describes its messages to it with ``describe``.

Without ``django.contrib.admin`` among the apps there is no desk, and its pages are not even imported.
"""

from django.apps import apps

from outbox.admin.descriptions import Description, Fact, admin_url, describe

__all__ = ["Description", "Fact", "admin_url", "describe"]

if apps.is_installed("django.contrib.admin"):
    from outbox.admin.audit import AuditEntryAdmin, HeartbeatAdmin
    from outbox.admin.consumers.admin import ConsumerStateAdmin
    from outbox.admin.failures.admin import FailureGroupAdmin
    from outbox.admin.messages.admin import MessageAdmin

    __all__ += ["AuditEntryAdmin", "ConsumerStateAdmin", "FailureGroupAdmin", "HeartbeatAdmin", "MessageAdmin"]
