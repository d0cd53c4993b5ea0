"""Why the engine gives a message up, where no consumer said so."""

EXPIRED = "expired: the deadline passed before it succeeded"
LOST = "its worker was gone before it settled, again and again"
GONE = "the consumer is not in the code any more"
NOBODY = "no worker took it: its hints went into an empty queue, again and again, and it was never started"
