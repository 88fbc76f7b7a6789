"""Nanoseconds a cycle at 1, 2, 4 and 8 stations in production, phase by phase.

`python -m bench.scan [--json] [--seconds S]`. Virtual time: the same compiled loop and scan as in real
time. Percentiles come from the loop's own histograms, so they are good to a fifth of an octave.
"""

from typing import Any

from bench import report

STATIONS = (1, 2, 4, 8)
PHASES = {"exchange": 1, "scan": 2, "publish": 3, "cycle": 4}


def main() -> None:
    """Measure and print."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--seconds", type=float, default=20.0, help="virtual, for each size")
    options = arguments.parse_args()
    report.prepare()
    sizes = {str(count): _measure(count, options.seconds) for count in STATIONS}
    one, most = (sizes[str(count)]["scan"]["p50_ns"] for count in (STATIONS[0], STATIONS[-1]))
    result = {
        "stations": sizes,
        "scan_p99_us": sizes["1"]["scan"]["p99_ns"] * 1e-3,
        "scan_ns_a_station": {
            str(count): sizes[str(count)]["scan"]["p50_ns"] / count for count in STATIONS
        },
        "eight_over_eight_times_one": most / (STATIONS[-1] * one),
    }
    report.show("Nanoseconds a cycle", result, options.json)


def producing(station_count: int) -> Any:
    """Return a simulation of this many equal stations, stacking."""
    from controller.settings.loader import load_machine, load_recipe, load_settings
    from controller.settings.plant import PlantSettings
    from controller.shared.commands import CommandCode
    from controller.shared.packml import State
    from controller.simulate import Simulation

    machine = load_machine(report.MACHINE)
    station = machine.stations[0]
    stations = tuple(
        station.model_copy(update={"name": f"{station.name} {number}"})
        for number in range(station_count)
    )
    several = machine.model_copy(update={"stations": stations})
    plant = load_settings(report.PLANT, PlantSettings)
    recipe = load_recipe(report.RECIPE)
    from controller.planning.cycle_plan import make_plan

    simulation = Simulation(several, plant, recipe, seed=1, plan=make_plan(machine, recipe))
    simulation.reset()
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: simulation.state == State.EXECUTE, 60.0)
    return simulation


def _measure(station_count: int, seconds: float) -> dict[str, Any]:
    from controller.shared.histogram import percentile_ns

    simulation = producing(station_count)
    statistics = simulation.machine.loop[0]["statistics"]
    statistics["histogram"], statistics["max_ns"] = 0, 0
    simulation.run(seconds)
    return {
        name: {
            "p50_ns": percentile_ns(statistics["histogram"][phase], 0.5),
            "p99_ns": percentile_ns(statistics["histogram"][phase], 0.99),
            "p99_9_ns": percentile_ns(statistics["histogram"][phase], 0.999),
            "max_ns": int(statistics["max_ns"][phase]),
        }
        for name, phase in PHASES.items()
    }


if __name__ == "__main__":
    main()
