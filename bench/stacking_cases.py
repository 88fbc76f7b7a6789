"""What bench.stacking runs: classes of machine, controllers, and variations nothing was tuned for."""

from dataclasses import dataclass, replace

Changes = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Case:
    """One row of the table; `changes` scale values of the plant, by dotted path."""

    machine_class: str
    controller: str
    variant: str = "reference"
    machine: str = "machine.yaml"
    plant: str = "plant.yaml"
    recipe: str = "recipes/reference.yaml"
    changes: Changes = ()
    best_law: bool = False  # of the baseline's table
    identify: bool = False  # Foldline measures the table's mode first, as at commissioning


def _of_class(name: str, controller: str, variant: str = "reference") -> Case:
    lower = name.lower()
    machine = "machine.yaml" if name == "B" else f"classes/machine_{lower}.yaml"
    plant = "plant.yaml" if name == "B" else f"classes/plant_{lower}.yaml"
    return Case(name, controller, variant, machine, plant)


CASES = [_of_class(name, who) for name in "ABCD" for who in ("foldline", "baseline")]

_SCATTER = (
    *("pick_m", "pick_rad", "table_m", "correction_m", "release_m", "release_rad"),
    *("web_drag_m", "web_drag_rad", "cut_m"),
)
_CHANGES: dict[str, Changes] = {
    "modulus 0.5 GPa": (("web.modulus_pa", 0.5 / 0.9),),
    "modulus 1.5 GPa": (("web.modulus_pa", 1.5 / 0.9),),
    "scatter doubled": tuple((f"scatter.{name}", 2.0) for name in _SCATTER),
    "camera tail tripled": (("sheet_camera.late_share", 3.0), ("stack_camera.late_share", 3.0)),
    "mode -10 %": (("table.mode_frequency_hz", 0.9),),
    "mode +10 %": (("table.mode_frequency_hz", 1.1),),
}
_WIDE_RECIPE, _WIDE_PLANT = "recipes/wide_125x300.yaml", "classes/plant_wide_125x300.yaml"

VARIATIONS = [
    *(
        Case("B", who, variant, changes=changes)
        for variant, changes in _CHANGES.items()
        for who in ("foldline", "baseline")
    ),
    *(
        Case("B", who, "125 x 300 mm", plant=_WIDE_PLANT, recipe=_WIDE_RECIPE)
        for who in ("foldline", "baseline")
    ),
    Case("B", "foldline", "two stations", machine="classes/machine_two_stations.yaml"),
    *(replace(_of_class(name, "foldline", "mode identified"), identify=True) for name in "BCD"),
    *(
        replace(_of_class(name, "baseline", "table on its best law"), best_law=True)
        for name in "BCD"
    ),
]
