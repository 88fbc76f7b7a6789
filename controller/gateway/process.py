"""The gateway process: the OPC UA server, the logs and the records' way to durable storage.

`python -m controller.gateway.process --memory-fd N --config F [--state-dir D]`, started by the
supervisor and restarted by it.
"""

import argparse
import asyncio
import contextlib
import ctypes
import errno
import gc
import os
import signal
import sys
import time
from pathlib import Path

import structlog

from controller.child import follow_parent
from controller.gateway.gateway import Gateway
from controller.gateway.log import set_up_logging
from controller.settings.loader import load_machine
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView

STATE_DIRECTORY = Path(".foldline")
_REMEDIES = {
    errno.EADDRINUSE: "end the program that listens there, or set another opcua.port",
    errno.EADDRNOTAVAIL: "set opcua.host to an address of this machine",
    errno.EACCES: "make it this user's",
}


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.gateway.process")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY)
    parser.add_argument("--recipe", type=Path, help="what the first plan was made from")
    arguments = parser.parse_args()
    os.umask(0o077)
    follow_parent()
    set_up_logging()
    settings = load_machine(arguments.config)
    view = SharedView.attach(arguments.memory_fd, ProcessId.GATEWAY)
    try:
        gateway = Gateway(
            view, settings, arguments.state_dir, arguments.config, arguments.memory_fd
        )
        gateway.first_recipe = arguments.recipe.stem if arguments.recipe else None
        asyncio.run(serve(gateway))
    except OSError as error:  # of the start: once it runs it survives them
        remedy = _REMEDIES.get(error.errno or 0, "mend what it names")
        sys.exit(f"gateway: {error}; {remedy}")
    return 0


async def serve(gateway: Gateway) -> None:
    """Run the gateway until SIGTERM, however far it has come."""
    _tell_first_password(gateway.server.first_password)
    running = asyncio.ensure_future(_start_and_run(gateway))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await gateway.stop()


async def _start_and_run(gateway: Gateway) -> None:
    # Ten thousand nodes are built and kept: collecting garbage meanwhile finds none and doubles the time.
    gc.disable()
    await gateway.start()
    gc.collect()
    gc.freeze()
    gc.enable()
    _return_free_memory()
    structlog.get_logger("gateway").info("gateway serves", start_s=round(_age_s(), 2))
    await gateway.run()


def _age_s() -> float:
    """Return how long ago this process was started, its imports included."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _return_free_memory() -> None:
    """The models' XML is gone, but glibc keeps its pages until it is asked for them."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _tell_first_password(password: str | None) -> None:
    if password is not None:
        # The only time it is ever written: to whoever stands at the console of the first start.
        sys.stderr.write(
            f"first start: log in over OPC UA as 'admin' with password {password} "
            "(valid for 24 hours; `foldline users password admin` sets your own)\n"
        )
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
