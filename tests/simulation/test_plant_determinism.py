"""One seed, one history: byte for byte, whatever else runs beside it."""

import numpy as np

from drivers.image import IMAGE_DTYPE
from hal_sim.context import context_record, make_context
from hal_sim.exchange import exchange
from tests.simulation.scripted_machine import PERIOD_NS, ScriptedStation, plant_settings


def history(seed: int) -> bytes:
    machine = ScriptedStation(seed).start()
    machine.stack(2)
    return machine.context.tobytes()


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert history(5) == history(5)


def test_another_seed_gives_another_history() -> None:
    assert history(5) != history(6)


def idle_station(station_count: int) -> bytes:
    context = make_context(plant_settings(), station_count, PERIOD_NS, 8)
    image = np.zeros(1, IMAGE_DTYPE)[0]
    for _ in range(500):
        exchange(image, context)
    return context_record(context)["stations"][0].tobytes()


def test_a_station_does_not_feel_its_neighbours() -> None:
    assert idle_station(1) == idle_station(8)


def test_stations_of_one_machine_differ() -> None:
    context = make_context(plant_settings(), 2, PERIOD_NS, 8)
    stations = context_record(context)["stations"]
    assert stations[0]["web"]["feed_lag_s"] != stations[1]["web"]["feed_lag_s"]


def test_a_shorter_period_is_the_same_machine() -> None:
    context = make_context(plant_settings(), 1, 250_000, 8)
    record = context_record(context)
    assert int(record["substeps"]) == 1
    assert float(record["step_s"]) == 250e-6
