"""Which permission a page of the admin asks for, so that no link leads to one that would refuse its reader."""

from functools import cache

from django.apps import apps

OWN_PERMISSIONS = {"outbox.auditentry": "outbox.view_audit"}
"""By model: what takes another permission than the one by which Django lets rows be seen."""


@cache
def permission_to_see(name: str) -> str:
    """Return the permission that a page of the admin asks for, by its name, as in ``shop_order_change``.

    Empty if it is no page of a model.
    """
    begins = name.rpartition("_")[0]
    for model in apps.get_models():
        meta = model._meta
        if meta.label_lower.replace(".", "_") == begins:
            return OWN_PERMISSIONS.get(meta.label_lower, f"{meta.app_label}.view_{meta.model_name}")
    return ""
