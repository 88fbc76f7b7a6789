"""Many cells with seeded faults: no rule is broken, and what can be recovered does not cost its cell."""

import pytest

from bench.recovery import GOAL_SHARE, SHORT_STOP, run_campaign, summary
from hal_sim.faults import RECOVERABLE

KINDS = {kind.name.lower() for kind in RECOVERABLE}


def test_small_cells_survive_a_fault_every_few_sheets() -> None:
    found = summary([run_campaign(seed=1, cells=10, every=6, cathodes=8)])
    assert found["violations"] == 0
    assert found["cells"] == found["good_cells"] == 10
    assert found["false_rejects"] == found["escapes"] == 0
    assert found["recovered_share"] == 1.0
    assert {SHORT_STOP, "pick_miss", "camera_failed"} <= set(found["kinds"])


@pytest.mark.long
def test_two_hundred_cells_with_faults_break_no_rule() -> None:
    found = summary([run_campaign(seed, cells=40, every=20) for seed in range(1, 6)])
    assert found["cells"] == 200
    assert found["violations"] == found["escapes"] == 0
    assert found["recovered_share"] >= GOAL_SHARE
    assert set(found["kinds"]) == KINDS | {SHORT_STOP}
