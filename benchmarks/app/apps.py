"""The app of the long runs, installed like anybody's, so that its consumers are found."""

from django.apps import AppConfig


class BenchConfig(AppConfig):
    """Consumers to measure with."""

    name = "benchmarks.app"
    label = "bench"

    def ready(self) -> None:
        """Take grouping away from the one consumer that is measured without it."""
        # The engine's modules need the models, and those are ready only now.
        from benchmarks.app.without_failure_groups import disable_failure_groups

        disable_failure_groups("bench.break_ungrouped")
