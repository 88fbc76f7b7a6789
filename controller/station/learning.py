"""Learning: what repeats every fold is taken away by a force, the dancer's and table X's alike.

Each half fold has a table of force over path time. While the master runs at full speed the last errors
are kept; once enough of them surround a place of the table it moves by the plan's filter over them, a
little every fold. So the work is the same small piece each cycle, and nothing is learned from a fold
that was slowed, held or disturbed.
"""

from math import floor

from controller.shared.learned import LEARNED_BINS, Learner
from controller.shared.plan import LEARNING_AFTER, LEARNING_TAPS
from controller.shared.status import SequenceState
from controller.station.kernel import kernel
from controller.station.player import FULL_SPEED

_PLACE = LEARNING_TAPS - 1 - LEARNING_AFTER  # in the history, of the place that learns
_TENSION, _TABLE = int(Learner.TENSION), int(Learner.TABLE)
_LEARNERS = len(Learner)


@kernel
def _stack(station, plan):
    """-1 with an empty table, 1 with a full stack: mass and mode go with it, and so do the errors."""
    return 2.0 * station.status.sheet / max(plan.sheets, 1) - 1.0


@kernel
def learned_force(station, plan, learner):
    """What a force gains now; errors grow with the square of speed, and so does this."""
    if station.status.sequence != SequenceState.SECTION or station.frozen:
        return 0.0
    table = station.learned.force_n[learner, station.status.section]
    growth = station.learned.growth_n[learner, station.status.section]
    section = plan.sections[station.status.section]
    last = min(floor(section.length_s / plan.learning.bin_s), LEARNED_BINS - 1)
    at = min(max(station.master.position / plan.learning.bin_s, 0.0), last)
    low = floor(at)
    high = min(low + 1, last)
    speed, stack = station.master.speed, _stack(station, plan)
    below, above = table[low] + stack * growth[low], table[high] + stack * growth[high]
    return speed * speed * (below + (at - low) * (above - below))


@kernel
def _undisturbed(station, plan, tension_error_n, table_error_m):
    """True while this cycle's errors are ones that the next fold will show again."""
    if station.status.sequence != SequenceState.SECTION or station.frozen or plan.dry:
        return False
    tense = abs(tension_error_n) >= plan.learning.error_max[_TENSION]
    if tense or abs(table_error_m) >= plan.learning.error_max[_TABLE]:
        return False
    return station.master.speed >= FULL_SPEED and station.status.sheet > 0


@kernel
def _move_place(learned, plan, learner, errors, place, stack):
    """Move one place of a table by the filter over the errors around it, inside its bound.

    The change is split so that it is whole at this stack and nothing at the opposite one.
    """
    change = 0.0
    for tap in range(LEARNING_TAPS):
        change += plan.learning.filter[learner, tap] * errors[learner, tap]
    section, bin_index = place // LEARNED_BINS, place % LEARNED_BINS
    change /= 1.0 + stack * stack
    kept, bound = 1.0 - plan.learning.forgetting[learner], plan.learning.force_max_n[learner]
    force = kept * learned.force_n[learner, section, bin_index] - change
    growth = kept * learned.growth_n[learner, section, bin_index] - stack * change
    learned.force_n[learner, section, bin_index] = min(max(force, -bound), bound)
    learned.growth_n[learner, section, bin_index] = min(max(growth, -bound), bound)


@kernel
def learn(station, plan, tension_error_n, table_error_m):
    """Take this cycle's errors (actual less wanted) and let one place of each table learn."""
    history = station.learning
    if not _undisturbed(station, plan, tension_error_n, table_error_m):
        history.count = 0
        return
    bin_index = floor(station.master.position / plan.learning.bin_s + 0.5)
    place = station.status.section * LEARNED_BINS + bin_index
    newest = LEARNING_TAPS - 1
    if bin_index >= LEARNED_BINS or (history.count > 0 and place == history.places[newest]):
        return
    if history.count > 0 and place // LEARNED_BINS != history.places[newest] // LEARNED_BINS:
        station.learned.folds[history.places[newest] // LEARNED_BINS] += 1
    for index in range(newest):
        for learner in range(_LEARNERS):
            history.errors[learner, index] = history.errors[learner, index + 1]
        history.places[index] = history.places[index + 1]
    history.errors[_TENSION, newest] = tension_error_n
    history.errors[_TABLE, newest] = table_error_m
    history.places[newest] = place
    history.count = min(history.count + 1, LEARNING_TAPS)
    if history.count == LEARNING_TAPS:
        learning = history.places[_PLACE]
        for learner in range(_LEARNERS):
            _move_place(
                station.learned, plan, learner, history.errors, learning, _stack(station, plan)
            )


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
        for learner in range(_LEARNERS):
            for place in range(LEARNED_BINS):
                learned.force_n[learner, section, place] = 0.0
                learned.growth_n[learner, section, place] = 0.0
