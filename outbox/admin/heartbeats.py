"""What is only looked at: when the engine's own chores last succeeded."""

from django.contrib import admin

from outbox.admin.base import ReadOnlyAdmin
from outbox.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """When the engine's own chores last succeeded."""

    list_display = ("name", "at", "data")
    change_list_template = "outbox/desk/stock_list.html"
