"""Wall-clock statistics of the loop: counted apart, never seen by the scan."""

from numba import njit

from controller.shared.status import HISTOGRAM_BINS, Phase

_LATENESS, _EXCHANGE, _SCAN = Phase.LATENESS, Phase.EXCHANGE, Phase.SCAN
_PUBLISH, _CYCLE = Phase.PUBLISH, Phase.CYCLE
_FIRST_OCTAVE = 6  # bins start at 64 ns
_LATE_NS = 100_000


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def histogram_bin(duration_ns):
    """Return the bin of a duration: four a doubling from 64 ns, the ends open."""
    if duration_ns < 1 << _FIRST_OCTAVE:
        return 0
    octave = _FIRST_OCTAVE
    while duration_ns >> (octave + 1):
        octave += 1
    quarter = (duration_ns >> (octave - 2)) & 3
    return min((octave - _FIRST_OCTAVE) * 4 + quarter, HISTOGRAM_BINS - 1)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def count_lateness(statistics, lateness_ns, missed):
    """Count one wake-up and the periods it missed."""
    statistics.cycles += 1
    statistics.overruns += missed
    statistics.overruns_in_a_row = statistics.overruns_in_a_row + 1 if missed else 0
    statistics.over_100_us += lateness_ns > _LATE_NS
    _count(statistics, _LATENESS, lateness_ns)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def count_phases(statistics, start_ns, taken_ns, scanned_ns, published_ns):
    """Count the phases of one cycle; the intake's time is the exchange's."""
    _count(statistics, _EXCHANGE, taken_ns - start_ns)
    _count(statistics, _SCAN, scanned_ns - taken_ns)
    _count(statistics, _PUBLISH, published_ns - scanned_ns)
    _count(statistics, _CYCLE, published_ns - start_ns)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _count(statistics, phase, duration_ns):
    statistics.histogram[phase, histogram_bin(duration_ns)] += 1
    statistics.last_ns[phase] = duration_ns
    statistics.max_ns[phase] = max(statistics.max_ns[phase], duration_ns)
