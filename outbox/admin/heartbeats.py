"""What is only looked at: when the engine's own chores last succeeded."""

from django.contrib import admin
from django.utils.translation import gettext_lazy

from outbox.admin import formats
from outbox.admin.base import ReadOnlyAdmin
from outbox.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """When the engine's own chores last succeeded."""

    list_display = fields = ("name", "when", "data")
    readonly_fields = ("when",)

    @admin.display(description=gettext_lazy("when"), ordering="at")
    def when(self, heartbeat: Heartbeat) -> str:
        """Write the moment as every page does."""
        return formats.format_moment(heartbeat.at)
