"""Learning of the tension: what repeats every fold is taken away by the dancer's force.

Each half fold has a table of force over path time. While the master runs at full speed the last tension
errors are kept; once enough of them surround a place of the table it moves by the plan's filter over
them, a little every fold. So the work is the same small piece each cycle, and nothing is learned from a
fold that was slowed, held or disturbed.
"""

from math import floor

from controller.shared.learned import LEARNED_BINS
from controller.shared.plan import LEARNING_AFTER, LEARNING_TAPS
from controller.shared.status import SequenceState
from controller.station.kernel import kernel
from controller.station.player import FULL_SPEED

_PLACE = LEARNING_TAPS - 1 - LEARNING_AFTER  # in the history, of the place that learns
ERROR_SHARE_MAX = 0.5  # of the tension: more is a disturbance, nothing to learn from


@kernel
def learned_force(station, plan):
    """What the dancer's force gains now; errors grow with the square of speed, and so does this."""
    if station.status.sequence != SequenceState.SECTION or station.frozen:
        return 0.0
    table = station.learned.force_n[station.status.section]
    section = plan.sections[station.status.section]
    last = min(floor(section.length_s / plan.learning.bin_s), LEARNED_BINS - 1)
    at = min(max(station.master.position / plan.learning.bin_s, 0.0), last)
    low = floor(at)
    high = min(low + 1, last)
    speed = station.master.speed
    return speed * speed * (table[low] + (at - low) * (table[high] - table[low]))


@kernel
def _undisturbed(station, plan, error_n):
    """True while this cycle's error is one that the next fold will show again."""
    if station.status.sequence != SequenceState.SECTION or station.frozen or plan.dry:
        return False
    quiet = abs(error_n) < ERROR_SHARE_MAX * plan.web.tension_n
    return quiet and station.master.speed >= FULL_SPEED and station.status.sheet > 0


@kernel
def _move_place(learned, plan, errors_n, place):
    """Move one place of a table by the filter over the errors around it, inside its bound."""
    change = 0.0
    for tap in range(LEARNING_TAPS):
        change += plan.learning.filter[tap] * errors_n[tap]
    section, bin_index = place // LEARNED_BINS, place % LEARNED_BINS
    kept = (1.0 - plan.learning.forgetting) * learned.force_n[section, bin_index]
    bound = plan.learning.force_max_n
    learned.force_n[section, bin_index] = min(max(kept - change, -bound), bound)


@kernel
def learn_tension(station, plan, error_n):
    """Take this cycle's tension error (actual less wanted) and let one place of a table learn."""
    history = station.learning
    if not _undisturbed(station, plan, error_n):
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
        history.errors_n[index] = history.errors_n[index + 1]
        history.places[index] = history.places[index + 1]
    history.errors_n[newest] = error_n
    history.places[newest] = place
    history.count = min(history.count + 1, LEARNING_TAPS)
    if history.count == LEARNING_TAPS:
        _move_place(station.learned, plan, history.errors_n, history.places[_PLACE])
