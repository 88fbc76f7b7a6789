"""A recipe file: the cell to be made (`config/recipes/*.yaml`)."""

from pydantic import ValidationInfo, field_validator

from controller.settings.base import Settings, bounded, text
from controller.shared.plan import LAYERS_MAX


class CathodeSettings(Settings):
    """The cathode sheet: x along the table's travel, y across."""

    length_x_m: float = bounded(0.03, 0.3)
    width_y_m: float = bounded(0.05, 0.8)
    thickness_m: float = bounded(2e-5, 1e-3)


class AnodeSettings(Settings):
    """The anode sheet: larger than the cathode by its overhang on each edge."""

    overhang_m: float = bounded(0.0, 0.01)
    thickness_m: float = bounded(2e-5, 1e-3)


class SeparatorSettings(Settings):
    """The separator web: wider than the anode by its overhang on each edge."""

    overhang_m: float = bounded(0.0, 0.02)
    thickness_m: float = bounded(3e-6, 1e-4)
    modulus_pa: float = bounded(1e7, 2e10)


class RejectSettings(Settings):
    """What makes a finished cell a reject."""

    overhang_min_m: float = bounded(0.0, 0.01)  # anode over cathode, any edge of any layer
    overhang_guard_m: float = bounded(0.0, 0.01)  # more, where placement is not in its scatter
    tension_min_n: float = bounded(0.0, 50.0)
    tension_max_n: float = bounded(0.1, 100.0)
    hipot_min_ohm: float = bounded(1e3, 1e12)


class RecipeSettings(Settings):
    """One cell type: its sheets, its web, its tension and its reject rules."""

    name: str = text(32)
    cathodes: int = bounded(1, (LAYERS_MAX - 1) // 2)
    cathode: CathodeSettings
    anode: AnodeSettings
    separator: SeparatorSettings
    layer_thickness_m: float = bounded(2e-5, 2e-3)  # what one sheet and its web add to the stack
    stack_mass_kg: float = bounded(0.01, 20.0)
    wraps_final: int = bounded(0, 5)
    tension_n: float = bounded(0.2, 50.0)
    reject: RejectSettings
    speed_override: float = bounded(0.01, 1.0)

    @field_validator("reject")
    @classmethod
    def _tension_inside(cls, reject: RejectSettings, info: ValidationInfo) -> RejectSettings:
        tension = info.data.get("tension_n")
        if tension is not None and not reject.tension_min_n < tension < reject.tension_max_n:
            limits = f"{reject.tension_min_n:g} to {reject.tension_max_n:g}"
            raise ValueError(f"tension_n = {tension:g} is outside {limits}; widen the limits")
        return reject

    @field_validator("reject")
    @classmethod
    def _overhang_inside(cls, reject: RejectSettings, info: ValidationInfo) -> RejectSettings:
        anode, least = info.data.get("anode"), reject.overhang_min_m + reject.overhang_guard_m
        if anode is not None and least >= anode.overhang_m:
            raise ValueError(
                f"overhang_min_m + overhang_guard_m = {least:g}: not below the anode's overhang_m = "
                f"{anode.overhang_m:g}, every cell would be rejected; lower them"
            )
        return reject

    @property
    def sheets(self) -> int:
        """Sheets in a cell, 2N + 1: an anode lies outermost on both sides."""
        return 2 * self.cathodes + 1

    @property
    def fold_pitch_m(self) -> float:
        """Distance between two folds: the separator's length over one sheet."""
        return self.cathode.length_x_m + 2 * (self.anode.overhang_m + self.separator.overhang_m)

    @property
    def web_width_m(self) -> float:
        """Width of the separator."""
        return self.cathode.width_y_m + 2 * (self.anode.overhang_m + self.separator.overhang_m)

    @property
    def web_stiffness_n(self) -> float:
        """EA of the separator: force for a strain of 1."""
        return self.separator.modulus_pa * self.separator.thickness_m * self.web_width_m
