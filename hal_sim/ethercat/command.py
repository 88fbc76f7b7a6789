"""`foldline sim-bus`: the virtual machine as a bus of its own, for this controller or any other master."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

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
from hal_sim.modbus.machine import start_devices

Report = Callable[[str], None]


def serve_bus(
    topology: Topology,
    interface: str,
    *,
    plant: np.ndarray | None = None,
    modbus_port: int | None = None,
    report: Report = print,
    **faults: Any,
) -> None:
    """Answer frames on an interface until SIGINT or SIGTERM.

    `plant` is the simulator's context; without it the drives stand on a bench. `modbus_port` is the first of
    the ports the cameras and sensors listen on. Raises TopologyError where the interface cannot be used.
    """
    body = make_body(topology, plant=plant, **faults)
    exchange = _plant_exchange() if plant is not None else bench_drives.exchange
    warm(body, exchange)
    with SimStation(body, interface, exchange) as station:
        report(f"{interface}: {len(topology.slaves)} virtual slaves answer")
        asyncio.run(_wait(body, modbus_port, report))
        report(f"{interface}: {station.replies} frames answered")


def _plant_exchange() -> Any:
    """The plant's compiled exchange, loaded only where it is used."""
    from hal_sim import exchange

    return exchange.exchange


async def _wait(body: Body, modbus_port: int | None, report: Report) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if modbus_port is not None:
        stations = int(body.image["inputs"]["station_count"])
        devices = await start_devices(body.image, stations, port_first=modbus_port)
        for (station, name), device in devices.items():
            report(f"127.0.0.1:{device.port}: station {station} {name}")
    await stop.wait()


def main() -> None:
    """Serve drives on a bench: `python -m hal_sim.ethercat.command --veth fold0 fold1 --drives 8`."""
    parser = argparse.ArgumentParser(prog="foldline sim-bus", description=main.__doc__)
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
    try:
        serve_bus(topology, interface, modbus_port=options.modbus_port)
    except TopologyError as error:
        sys.exit(str(error))
    finally:
        if options.veth:
            remove_link(options.veth[0])


if __name__ == "__main__":
    main()
