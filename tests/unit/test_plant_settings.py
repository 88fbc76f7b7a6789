"""The plant file: read strictly, unit by unit, and turned into the simulator's record."""

from math import pi
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.settings.loader import load_settings
from controller.settings.plant import PlantSettings
from drivers.image import AXIS_KIND, AxisId, AxisKind
from hal_sim.context import context_record, make_context

CONFIG = Path(__file__).resolve().parents[2] / "config"
FILES = ["plant.yaml", *(f"classes/plant_{name}.yaml" for name in ("a", "c", "d", "wide_125x300"))]


def plant(name: str = "plant.yaml") -> dict[str, Any]:
    return load_settings(CONFIG / name, PlantSettings).model_dump()


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_plant_builds_a_machine(name: str) -> None:
    record = context_record(make_context(plant(name), 2, 1_000_000, 1))
    assert int(record["station_count"]) == 2
    assert all(record["stations"][1]["axes"]["mass_kg"] > 0.0)


def test_a_rotary_axis_keeps_its_own_units() -> None:
    settings = plant()
    rows = context_record(make_context(settings, 1, 1_000_000, 1))["plant"]["axes"]
    wrap = settings["axes"]["wrap"]
    row = rows[AxisId.WRAP]
    assert float(row["mass_kg"]) == wrap["inertia_kg_m2"]
    assert float(row["force_peak_n"]) == wrap["torque_peak_n_m"]
    assert float(row["position_max_m"]) == wrap["position_max_rad"]
    stiffness = wrap["inertia_kg_m2"] * (2.0 * pi * wrap["bandwidth_hz"]) ** 2
    assert float(row["stiffness_n_m"]) == pytest.approx(stiffness)


def test_every_axis_starts_within_its_hard_stops() -> None:
    for seed in range(20):
        record = context_record(make_context(plant(), 1, 1_000_000, seed))
        for axis in AxisId:
            row = record["plant"]["axes"][axis]
            position = float(record["stations"][0]["axes"][axis]["position_m"])
            assert float(row["position_min_m"]) <= position <= float(row["position_max_m"])


def test_every_kind_of_axis_has_its_entry() -> None:
    assert set(plant()["axes"]) == {kind.name.lower() for kind in AxisKind}
    assert len(AXIS_KIND) == len(AxisId)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("table.mode_frequency_hz", -1.0, "greater than or equal to 5"),
        ("vacuum.miss_share", 1.5, "less than or equal to 1"),
        ("web.feed.lag_ms", 7.0, "Extra inputs are not permitted"),
        ("axes.arm_x.mass_kg", "heavy", "valid number"),
        ("sheet_camera.latency_late_s", 0.01, "must be above latency_median_s"),
    ],
)
def test_a_wrong_value_is_refused(path: str, value: Any, told: str) -> None:
    tree = plant()
    node = tree
    *sections, key = path.split(".")
    for section in sections:
        node = node[section]
    node[key] = value
    with pytest.raises(ValidationError, match=told):
        PlantSettings.model_validate(tree)


@pytest.mark.parametrize("count", [0, 9])
def test_a_machine_has_one_to_eight_stations(count: int) -> None:
    with pytest.raises(ValueError, match=f"station_count = {count}"):
        make_context(plant(), count, 1_000_000, 1)
