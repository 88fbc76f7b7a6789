"""`foldline identify`: measure, fit, say how well, draw, and keep."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.attach import NoMachine, attach
from controller.commission import Commissioner, NotCommissioned
from controller.display import print_values
from controller.planning.identified import keep_mode
from controller.planning.identify import NotIdentified, Response, identify
from controller.planning.identify_picture import draw_mode
from controller.retention import STATE_FOLDER

EXIT_NOT_IDENTIFIED = 1
STRETCH_S_MIN = 2.0


def response_of(samples: NDArray[np.void]) -> Response:
    """The longest stretch of SCOPE_DTYPE samples without a missed period, as a measurement.

    NotCommissioned where it is shorter than STRETCH_S_MIN.
    """
    periods = np.diff(samples["time_ns"])
    period = int(np.median(periods))
    edges = np.flatnonzero(periods != period) + 1
    longest = max(np.split(samples, edges), key=len)
    if len(longest) * period < STRETCH_S_MIN * 1e9:
        raise NotCommissioned(
            f"{len(edges)} gaps: no {STRETCH_S_MIN:g} s without a missed period; this computer is too "
            "busy, try again"
        )
    return Response(1e-9 * period, longest["actual_m"].copy(), longest["force_n"].copy())


def measured(settings: dict[str, Any], station: int, seed: int) -> NDArray[np.void]:
    """Excite and measure the simulated machine; SCOPE_DTYPE samples."""
    from controller.simulate import Simulation

    simulation = Simulation(**settings, seed=seed)
    simulation.reset()
    return Commissioner(simulation.view, simulation.run).measure(station)


def _live(pid: int | None, station: int) -> NDArray[np.void]:
    wait: Callable[[float], None] = time.sleep
    return Commissioner(attach(pid), wait).measure(station)


def identify_command(
    settings: dict[str, Any],
    station: int,
    seed: int,
    running: bool,
    pid: int | None,
    keep: bool,
    png: Path | None,
    as_json: bool,
) -> int:
    """Carry it out and return the exit status."""
    machine = settings["machine"]
    believed_hz = machine.stations[station].table_mode.frequency_hz
    try:
        samples = _live(pid, station) if running else measured(settings, station, seed)
        response = response_of(samples)
        mode = identify(response, believed_hz)
    except (NoMachine, NotCommissioned, NotIdentified) as error:
        print(f"not identified: {error}", file=sys.stderr)
        return EXIT_NOT_IDENTIFIED
    if png is not None:
        draw_mode(response, mode, believed_hz, png)
    if keep:
        keep_mode(STATE_FOLDER, machine, station, mode)
    values = {**asdict(mode), "tolerance": mode.tolerance, "believed_hz": believed_hz, "kept": keep}
    if as_json:
        print(json.dumps(values))
    else:
        print_values("Table mode", values)
    return 0
