"""A cell's record as plain data: what goes into the outbox, and out to the plant, as JSON."""

from typing import Any

from controller.shared.alarms import ALARMS, AlarmId
from controller.shared.records import RejectReason, Verdict
from drivers.image import Polarity

_EDGES = ("left", "right", "front", "rear")
_PHASES = ("lead_in", "stacking", "finish", "held")
DIGITS = 7  # float32 carries no more


def content_of(record: Any) -> dict[str, Any]:
    """Return a CELL_RECORD_DTYPE record as JSON-able data; keys end in their unit."""
    layers = record["layers"][: int(record["layer_count"])]
    return {
        "cell": int(record["cell"]),
        "station": int(record["station"]) + 1,
        "verdict": Verdict(int(record["verdict"])).name,
        "reasons": [each.name for each in RejectReason(int(record["reasons"]))],
        "tension_n": {key: _rounded(record[f"tension_{key}_n"]) for key in ("min", "mean", "max")},
        "phase_time_s": dict(zip(_PHASES, map(_rounded, record["phase_time_s"]), strict=True)),
        "retries": int(record["retries"]),
        "hipot_resistance_ohm": _rounded(record["hipot_resistance_ohm"]),
        "alarms": [ALARMS[AlarmId(at)].code for at in record["alarms"].nonzero()[0].tolist()],
        "plan": record["plan_identity"].tobytes().hex(),
        "layers": [_layer(each) for each in layers],
    }


def _layer(layer: Any) -> dict[str, Any]:
    return {
        "polarity": Polarity(int(layer["polarity"])).name,
        "retries": int(layer["retries"]),
        "before_m": [_rounded(value) for value in layer["before_m"]],
        "before_rad": _rounded(layer["before_rad"]),
        "sigma_m": _rounded(layer["sigma_m"]),
        "sigma_rad": _rounded(layer["sigma_rad"]),
        "after_m": [_rounded(value) for value in layer["after_m"]],
        "after_rad": _rounded(layer["after_rad"]),
        "overhang_m": dict(zip(_EDGES, map(_rounded, layer["overhang_m"]), strict=True)),
        "time_s": _rounded(layer["time_s"]),
    }


def _rounded(value: Any) -> float | None:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return None  # JSON has no such number
    return float(f"{number:.{DIGITS}g}")
