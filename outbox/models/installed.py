"""Imported before the models: where the app is not installed, Django would say only that it does not know it."""

from outbox.advice import refuse_if_not_installed

refuse_if_not_installed()
