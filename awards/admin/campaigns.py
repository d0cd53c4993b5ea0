"""Campaigns and their prizes, to be edited."""

from django.contrib import admin

from awards.models import Campaign, Prize


class PrizeInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for the type checker only
    """The prizes, on their campaign's page."""

    model = Prize
    extra = 0
    fields = ("name", "kind", "value", "vendor_sku", "weight", "stock")


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """Campaigns with their prizes."""

    list_display = ("name", "slug", "active", "starts_at", "ends_at", "draws_per_person")
    list_editable = ("active",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    ordering = ("-starts_at",)
    inlines = (PrizeInline,)
