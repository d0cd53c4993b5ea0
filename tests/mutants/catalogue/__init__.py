"""Every mutant, room by room."""

from tests.mutants.catalogue import (
    after_publishing,
    api,
    audit,
    broker,
    bulk,
    by_hand,
    chores,
    delivery,
    door,
    edits,
    hostile,
    maintenance,
    models,
    numbers,
    ordering,
    policy,
    publishing,
    registry,
    rehearsal,
    time_limits,
    wide,
    world_down,
)

__all__ = ["MUTANTS"]

MUTANTS = [
    *api.MUTANTS,
    *audit.MUTANTS,
    *after_publishing.MUTANTS,
    *broker.MUTANTS,
    *by_hand.MUTANTS,
    *bulk.MUTANTS,
    *chores.MUTANTS,
    *delivery.MUTANTS,
    *door.MUTANTS,
    *edits.MUTANTS,
    *hostile.MUTANTS,
    *maintenance.MUTANTS,
    *models.MUTANTS,
    *numbers.MUTANTS,
    *ordering.MUTANTS,
    *policy.MUTANTS,
    *publishing.MUTANTS,
    *registry.MUTANTS,
    *rehearsal.MUTANTS,
    *time_limits.MUTANTS,
    *wide.MUTANTS,
    *world_down.MUTANTS,
]
"""All of them; each breaks one rule of the engine."""
