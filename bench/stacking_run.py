"""One run of one case: settings loaded, the plant changed, a controller let loose on it."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.baseline.run import simulate as simulate_baseline
from bench.baseline.tuning import best_law, tune
from bench.report import CONFIG
from bench.stacking_cases import Case
from bench.stacking_pool import Run
from controller.planning.identified import keep_mode, with_identified_modes
from controller.planning.identify import identify
from controller.planning.identify_command import measured, response_of
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.simulate import Simulation, SimulationStuck, stack_cells
from hal_sim.judge.figures import judge_material

Settings = dict[str, Any]


def run_case(case: Case, seed: int, cells: int) -> Run:
    """Run a case once; a controller that gives up leaves what came until then, and its last words."""
    settings = {
        "machine": load_machine(CONFIG / case.machine),
        "plant": changed_plant(case),
        "recipe": load_recipe(CONFIG / case.recipe),
    }
    run = _foldline if case.controller == "foldline" else _baseline
    return run(case, settings, seed, cells)


def changed_plant(case: Case) -> PlantSettings:
    """The case's plant file with its changes."""
    tree = load_settings(CONFIG / case.plant, PlantSettings).model_dump()
    for path, factor in case.changes:
        *sections, key = path.split(".")
        node = tree
        for section in sections:
            node = node[section]
        node[key] *= factor
    return PlantSettings.model_validate(tree)


def _commissioned(settings: Settings, seed: int) -> Settings:
    """Settings with the table's mode as this machine's own identification finds and keeps it."""
    machine = settings["machine"]
    mode = identify(
        response_of(measured(settings, 0, seed)), machine.stations[0].table_mode.frequency_hz
    )
    with TemporaryDirectory() as folder:
        keep_mode(Path(folder), machine, 0, mode)
        machine, _ = with_identified_modes(machine, Path(folder))
    return settings | {"machine": machine}


def _foldline(case: Case, settings: Settings, seed: int, cells: int) -> Run:
    if case.identify:
        settings = _commissioned(settings, seed)
    simulation = Simulation(**settings, seed=seed)
    tension = settings["plant"].web.tension_n
    try:
        summary = stack_cells(simulation, cells)
    except SimulationStuck as stuck:
        return Run(seed, {}, judge_material(simulation.machine.context), tension, str(stuck))
    return Run(seed, summary, judge_material(simulation.machine.context), tension)


def _baseline(case: Case, settings: Settings, seed: int, cells: int) -> Run:
    station, recipe = settings["machine"].stations[0], settings["recipe"]
    tuning = tune(station, recipe, best_law(station, recipe)) if case.best_law else None
    summary, context = simulate_baseline(**settings, cells=cells, seed=seed, tuning=tuning)
    material = judge_material(context)
    bare = b"".join(judge.tobytes() for judge in material)
    digest = hashlib.sha256(bare).hexdigest()
    return Run(seed, summary | {"digest": digest}, material, settings["plant"].web.tension_n)
