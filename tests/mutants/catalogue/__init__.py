"""Every mutant, room by room."""

from tests.mutants.catalogue import (
    broker,
    chores,
    delivery,
    hostile,
    maintenance,
    models,
    ordering,
    policy,
    publishing,
    registry,
    time_limits,
    wide,
    world_down,
)

__all__ = ["MUTANTS"]

MUTANTS = [
    *broker.MUTANTS,
    *chores.MUTANTS,
    *delivery.MUTANTS,
    *hostile.MUTANTS,
    *maintenance.MUTANTS,
    *models.MUTANTS,
    *ordering.MUTANTS,
    *policy.MUTANTS,
    *publishing.MUTANTS,
    *registry.MUTANTS,
    *time_limits.MUTANTS,
    *wide.MUTANTS,
    *world_down.MUTANTS,
]
"""All of them; each breaks one rule of the engine."""
