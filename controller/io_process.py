"""The io process: hosts what talks to slow devices, and hands their readings to the core.

`python -m controller.io_process --memory-fd N --config F`, started by the supervisor. A poller is a
coroutine that takes this process's SharedView: readings go out by `publish_reading`, camera triggers
and slow outputs come in by `take_requests`.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from controller.child import follow_parent
from controller.settings.loader import load_machine
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView

BEAT_S = 0.05
Poller = Callable[[SharedView], Awaitable[None]]


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.io_process")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    follow_parent()
    load_machine(arguments.config)
    view = SharedView.attach(arguments.memory_fd, ProcessId.IO)
    asyncio.run(serve(view, []))
    return 0


async def serve(view: SharedView, pollers: list[Poller]) -> None:
    """Run the pollers beside the heartbeat until SIGTERM; one that fails ends them all."""
    loop = asyncio.get_running_loop()
    tasks = [asyncio.ensure_future(poller(view)) for poller in [_beat, *pollers]]
    together = asyncio.gather(*tasks)
    loop.add_signal_handler(signal.SIGTERM, together.cancel)
    try:
        await together
    except asyncio.CancelledError:
        await asyncio.gather(*tasks, return_exceptions=True)


async def _beat(view: SharedView) -> None:
    while True:
        view.beat(time.monotonic_ns())
        await asyncio.sleep(BEAT_S)


if __name__ == "__main__":
    sys.exit(main())
