"""The controller's verdicts and its own confidence, beside the truth that only the judge knows."""

from typing import Any

import numpy as np
import pytest

from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.packml import State
from controller.shared.records import RejectReason
from controller.simulate import Simulation, operate, verdicts
from hal_sim.faults import Fault, FaultKind, schedule_faults
from hal_sim.layout import CONTEXT_DTYPE
from tests.simulation.small_cells import CONFIG, finish, produce, small_machine

RECIPE = CONFIG / "recipes" / "reference.yaml"
CELLS = 8
SIGMA_SEEDS = (1, 2)


def _counts(simulation: Simulation) -> dict[str, int]:
    simulation.judge()
    return verdicts(simulation.records, list(simulation.judged.values()))


def _small(recipe: RecipeSettings, plant: PlantSettings) -> Simulation:
    return Simulation(load_machine(CONFIG / "machine.yaml"), plant, recipe, seed=1)


def _recipe(**changed: Any) -> RecipeSettings:
    return load_recipe(RECIPE).model_copy(update={"cathodes": 4, **changed})


def test_a_double_sheet_that_no_sensor_can_tell_is_an_escape() -> None:
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    thin = plant.sheets.model_copy(update={"anode_thickness_m": 0.00015})
    simulation = _small(_recipe(), plant.model_copy(update={"sheets": thin}))
    schedule_faults(simulation.machine.context, [Fault(FaultKind.DOUBLE_SHEET, at_sheet=3)])
    produce(simulation, 1)
    finish(simulation, 1)
    assert int(simulation.records[0]["reasons"]) == 0
    assert _counts(simulation) == {"false_rejects": 0, "escapes": 1}


def test_a_limit_stricter_than_the_truth_makes_a_false_reject() -> None:
    reject = load_recipe(RECIPE).reject.model_copy(update={"overhang_min_m": 0.00149})
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    simulation = _small(_recipe(reject=reject), plant)
    produce(simulation, 1)
    finish(simulation, 1)
    assert int(simulation.records[0]["reasons"]) == RejectReason.OVERHANG
    assert _counts(simulation) == {"false_rejects": 1, "escapes": 0}


@pytest.mark.parametrize(("times", "reasons"), [(1.0, 0), (3.0, int(RejectReason.OVERHANG))])
def test_where_sheets_scatter_a_margin_is_kept_to_the_limit(times: float, reasons: int) -> None:
    reject = load_recipe(RECIPE).reject.model_copy(update={"overhang_guard_m": 0.00049})
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    wilder = {
        name: times * getattr(plant.scatter, name)
        for name in ("table_m", "release_m", "web_drag_m")
    }
    scatter = plant.scatter.model_copy(update=wilder)
    simulation = _small(_recipe(reject=reject), plant.model_copy(update={"scatter": scatter}))
    produce(simulation, 1)
    finish(simulation, 1)
    assert int(simulation.records[0]["reasons"]) == reasons


def _normalised_errors(seed: int) -> list[float]:
    """Each edge's true error over the sigma that the controller foresaw for it."""
    simulation = small_machine(cathodes=8, seed=seed, quiet=True)
    judge = simulation.machine.context.view(CONTEXT_DTYPE)[0]["stations"][0]["judge"]
    produce(simulation, CELLS)
    edges: dict[int, np.ndarray] = {}
    while simulation.state != State.COMPLETE:
        operate(simulation)
        simulation.run(0.2)
        count = int(judge["layer_count"])
        if count == simulation.plans[0].record[0]["sheets"]:
            edges[int(simulation.station()["record"]["cell"])] = judge["layers"]["edge_m"][
                :count
            ].copy()
    errors: list[float] = []
    for record in simulation.records:
        sigma = record["layers"]["sigma_m"][: int(record["layer_count"])]
        errors += list((edges[int(record["cell"])] / sigma[:, None]).ravel())
    return errors


def test_the_controller_knows_how_well_it_lays() -> None:
    errors = np.array([error for seed in SIGMA_SEEDS for error in _normalised_errors(seed)])
    assert errors.size == len(SIGMA_SEEDS) * CELLS * 17 * 4
    assert 0.8 < float(np.var(errors)) < 1.2
    assert float(np.mean(np.abs(errors) < 3.0)) > 0.99
