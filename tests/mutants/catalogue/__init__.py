"""Every mutant, room by room."""

from tests.mutants.catalogue import (
    broker,
    delivery,
    hostile,
    maintenance,
    models,
    policy,
    publishing,
    registry,
    world_down,
)

__all__ = ["MUTANTS"]

MUTANTS = [
    *broker.MUTANTS,
    *delivery.MUTANTS,
    *hostile.MUTANTS,
    *maintenance.MUTANTS,
    *models.MUTANTS,
    *policy.MUTANTS,
    *publishing.MUTANTS,
    *registry.MUTANTS,
    *world_down.MUTANTS,
]
"""All of them; each breaks one rule of the engine."""
