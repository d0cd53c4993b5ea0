"""The depot as a Django app, so that its consumers are found like anybody's."""

from django.apps import AppConfig


class DepotConfig(AppConfig):
    """Consumers to measure with."""

    name = "benchmarks.depot"
    label = "depot"

    def ready(self) -> None:
        """Take grouping away from the one consumer that is measured without it."""
        # The engine's modules need the models, and those are ready only now.
        from benchmarks.depot import plain

        plain.spare("depot.break_plainly")
