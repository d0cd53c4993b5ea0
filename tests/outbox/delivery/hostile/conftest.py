"""The judge of a case, who writes its line into the table of the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.delivery.hostile.oracle import Case, Trial
from tests.outbox.delivery.hostile.table import PROPERTY


@pytest.fixture
def judge(
    transactional_db: None, dispatched: Any, link: Any, listen: Any, tmp_path: Path, record_property: Any
) -> Callable[[Case, str], Trial]:
    """Try a case in one way; whatever the oracle finds fails the test."""

    def judge(case: Case, way: str) -> Trial:
        trial = Trial(case, way, tmp_path, listen)
        trial.run()
        faults = trial.faults()
        record_property(PROPERTY, trial.row(faults))
        assert faults == []
        return trial

    return judge
