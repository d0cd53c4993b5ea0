"""What a worker does for each chore that has not been done for too long."""

from outbox.maintenance import chain, pruning, rescan, rollup
from outbox.monitoring import alerts

COVERS = {
    "rescan": rescan.rescan_if_overdue,
    "alerts": alerts.watch_if_overdue,
    "rollup": rollup.roll_up_if_overdue,
    "prune": pruning.prune_if_overdue,
    "audit": chain.check_if_overdue,
}
