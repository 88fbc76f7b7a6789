"""The virtual machine as a bus of its own, for this controller or any other master."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.topology import (
    Topology,
    TopologyError,
    drives_topology,
    stacker_topology,
)
from hal_sim.ethercat import bench_drives
from hal_sim.ethercat.body import Body, make_body
from hal_sim.ethercat.station import SimStation, warm
from hal_sim.ethercat.virtual_wire import make_veth, remove_link
from hal_sim.modbus.machine import Place, consecutive, start_at

Report = Callable[[str], None]


def serve_bus(
    topology: Topology,
    interface: str,
    *,
    plant: np.ndarray | None = None,
    places: Sequence[Place] = (),
    report: Report = print,
    ready: Callable[[], object] = lambda: None,
    set_up: Callable[[], object] | None = None,
    follow: bool = False,
    **faults: Any,
) -> Body:
    """Answer frames on an interface until SIGINT or SIGTERM; returns the machine as it was then.

    `plant` is the simulator's context; without it the drives stand on a bench. `places` are where the cameras
    and sensors listen. `ready` is called once all of them answer, `set_up` in the thread that answers frames.
    With `follow` the plant's time follows the master's cycles (SimStation). Raises TopologyError where the
    interface cannot be used.
    """
    body = make_body(topology, plant=plant, **faults)
    exchange = _plant_exchange() if plant is not None else bench_drives.exchange
    warm(body, exchange)
    frames = int(make_link(topology).view(LINK_DTYPE)[0]["frame_count"]) if follow else 0
    with SimStation(body, interface, exchange, set_up, frames) as station:
        report(f"{interface}: {len(topology.slaves)} virtual slaves answer")
        asyncio.run(_wait(body, places, report, ready))
        report(f"{interface}: {station.replies} frames answered, {station.ticks_dropped} ms lost")
    return body


def _plant_exchange() -> Any:
    """The plant's compiled exchange, loaded only where it is used."""
    from hal_sim import exchange

    return exchange.exchange


async def _wait(
    body: Body, places: Sequence[Place], report: Report, ready: Callable[[], object]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    for (station, name), device in (await start_at(body.image, places)).items():
        report(f"{device.host}:{device.port}: station {station} {name}")
    ready()
    await stop.wait()


def main() -> None:
    """Serve drives on a bench: `python -m hal_sim.ethercat.command --veth fold0 fold1 --drives 8`."""
    parser = argparse.ArgumentParser(prog="hal_sim.ethercat.command", description=main.__doc__)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--interface", help="an interface that exists")
    place.add_argument("--veth", nargs=2, metavar=("MASTER", "SLAVES"), help="make this pair first")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--drives", type=int, help="bare drives")
    size.add_argument("--stations", type=int, default=1, help="reference stations")
    parser.add_argument("--modbus-port", type=int, help="first port of cameras and sensors")
    options = parser.parse_args()
    topology = (
        drives_topology(options.drives) if options.drives else stacker_topology(options.stations)
    )
    if options.veth:
        make_veth(*options.veth)
    interface = options.interface or options.veth[1]
    places = consecutive(options.stations, options.modbus_port) if options.modbus_port else ()
    try:
        serve_bus(topology, interface, places=places)
    except TopologyError as error:
        sys.exit(str(error))
    finally:
        if options.veth:
            remove_link(options.veth[0])


if __name__ == "__main__":
    main()
