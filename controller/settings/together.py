"""What only shows when machine and recipe lie side by side."""

from controller.settings.machine import MachineSettings
from controller.settings.recipe import RecipeSettings


def problems_together(machine: MachineSettings, recipe: RecipeSettings) -> list[str]:
    """Why a recipe cannot be made on a machine: one line a problem, without file names."""
    found: list[str] = []
    height_m = recipe.sheets * recipe.layer_thickness_m
    for index, station in enumerate(machine.stations):
        where = f"stations[{index}]"
        travel_m = -station.table.unload_position_m
        if height_m > travel_m:
            found.append(
                f"cathodes = {recipe.cathodes}: the stack of {height_m:g} m is above the "
                f"{travel_m:g} m of {where}.table.unload_position_m; make fewer layers"
            )
        force_n = station.axes.dancer.force_peak_n
        if 2 * recipe.tension_n > force_n:
            found.append(
                f"tension_n = {recipe.tension_n:g}: the dancer needs twice as much, above the "
                f"{force_n:g} N of {where}.axes.dancer.force_peak_n; lower it"
            )
        wound_m = recipe.wraps_final * 2 * recipe.fold_pitch_m
        tail_m = station.cell_change.tail_m
        if station.cell_change.mode == "parallel" and wound_m > tail_m:
            found.append(
                f"wraps_final = {recipe.wraps_final}: winds {wound_m:g} m, above the {tail_m:g} m of "
                f"{where}.cell_change.tail_m; wrap less or change serially"
            )
        reach_m = station.table.stroke_m
        if recipe.fold_pitch_m > reach_m:
            found.append(
                f"fold pitch = {recipe.fold_pitch_m:g} m: above the {reach_m:g} m of "
                f"{where}.table.stroke_m, the web would not clear the sheet; make it shorter"
            )
    return found
