"""The gateway process: the OPC UA server, the logs and the records' way to durable storage.

`python -m controller.gateway.process --memory-fd N --config F [--state-dir D]`, started by the
supervisor and restarted by it. It keeps nothing the core does not: what it shows it reads again.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

import structlog

from controller.child import follow_parent
from controller.gateway.log import EventLog, set_up_logging
from controller.gateway.opcua.model.build import build_model
from controller.gateway.opcua.server import GatewayServer
from controller.gateway.snapshot import take_snapshot
from controller.settings.loader import load_machine
from controller.settings.machine import MachineSettings
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView

STATE_DIRECTORY = Path(".foldline")
log = structlog.get_logger("gateway")


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.gateway.process")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY)
    arguments = parser.parse_args()
    os.umask(0o077)
    follow_parent()
    set_up_logging()
    settings = load_machine(arguments.config)
    view = SharedView.attach(arguments.memory_fd, ProcessId.GATEWAY)
    asyncio.run(serve(view, settings, arguments.state_dir))
    return 0


async def serve(view: SharedView, settings: MachineSettings, state: Path) -> None:
    """Run the gateway until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = GatewayServer(settings.opcua, settings.name, state, version("foldline"))
    _tell_first_password(server)
    await server.init()
    model = build_model(server, settings, view, state)
    model.update(take_snapshot(view))
    await server.start()
    events = EventLog()
    seen = 0
    while not stop.is_set():
        view.beat(time.monotonic_ns())
        newest, drained = view.drain_events(seen)
        if newest - seen > len(drained) and seen:
            events.lost(newest - seen - len(drained))
        seen = newest
        events.write(drained)
        model.update(take_snapshot(view))
        try:
            await asyncio.wait_for(stop.wait(), settings.opcua.publishing_period_s)
        except TimeoutError:
            continue
    await server.stop()


def _tell_first_password(server: GatewayServer) -> None:
    if server.first_password is not None:
        # The only time it is ever written: to whoever stands at the console of the first start.
        sys.stderr.write(
            f"first start: log in over OPC UA as 'admin' with password {server.first_password} "
            "(valid for 24 hours; `foldline users password admin` sets your own)\n"
        )
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
