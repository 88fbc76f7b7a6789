"""What a station has learned, and how long it is good for."""

from controller.station.kernel import kernel


@kernel
def take_plan(station, plan):
    """Show the plan's identity; tables over path time that were learned with another one are forgotten."""
    same = True
    for index in range(plan.identity.size):
        same = same and station.status.plan_identity[index] == plan.identity[index]
        station.status.plan_identity[index] = plan.identity[index]
    if same:
        return
    learned = station.learned
    for section in range(learned.folds.size):
        learned.folds[section] = 0
        for place in range(learned.force_n.shape[1]):
            learned.force_n[section, place] = 0.0
