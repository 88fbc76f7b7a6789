"""Whether the plant can disturb the machine: our loop's wake-up lateness, quiet and under a flood.

Slices alternate: nothing beside the loop, then the gateway's server with twenty clients that watch 500
values at 5 Hz, and one that makes and deletes subscriptions as fast as it is answered.
`python -m bench.opcua_lateness [--json] [--seconds S] [--slices N]`.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import report
from bench.opcua import URI, VALUES, Watcher
from bench.opcua import item as watched_item

CLIENTS, RATE_HZ, PERIOD_NS, PRIORITY = 20, 5.0, 1_000_000, 80
FLOOD_ITEMS = 100


async def _flood(watcher: Watcher, namespace: int) -> None:
    """Make a subscription with a hundred items and delete it, over and over."""
    from asyncua import ua

    channel, token = watcher.channel, watcher.token
    while True:
        create = ua.CreateSubscriptionRequest()
        create.Parameters.RequestedPublishingInterval = 100.0
        made = await channel.ask(create, token)
        number = made.Parameters.SubscriptionId
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = number
        items = [watched_item(n % VALUES, namespace) for n in range(FLOOD_ITEMS)]
        request.Parameters.ItemsToCreate = items
        await channel.ask(request, token)
        delete = ua.DeleteSubscriptionsRequest()
        delete.Parameters.SubscriptionIds = [number]
        await channel.ask(delete, token)


@contextlib.asynccontextmanager
async def _plant(folder: Path, identity: Any) -> Any:
    """The server, its clients and the flood."""
    command = [sys.executable, "-m", "bench.opcua", "--serve", "ours", str(folder), str(RATE_HZ)]
    server = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    tasks, watchers = [], [Watcher() for _ in range(CLIENTS + 1)]
    try:
        assert server.stdout is not None
        told = json.loads(await asyncio.wait_for(server.stdout.readline(), 60))
        certificate = bytes.fromhex(told["certificate"])
        for each in watchers:
            await each.connect(told["port"], told["namespace"], certificate, identity)
            work = each.watch() if each is not watchers[-1] else _flood(each, told["namespace"])
            tasks.append(asyncio.create_task(work))
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        for each in watchers:  # before the tasks: one that lost its cancellation would wait on
            if hasattr(each, "channel"):
                each.channel.hang_up()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.kill()
        await server.wait()


async def _slice(seconds: float, cpu: int) -> float:
    from bench.late_loop import our_latenesses

    cycles = round(seconds * 1e9 / PERIOD_NS)
    latenesses, _, _ = await asyncio.to_thread(our_latenesses, cycles, PERIOD_NS, cpu, PRIORITY)
    return float(np.percentile(latenesses, 99)) * 1e-3


async def run(seconds: float, slices: int, cpu: int) -> dict[str, Any]:
    """Measure; p99 in microseconds, the ratio that of the medians."""
    from controller.gateway.opcua.certificates import create_identity

    identity = create_identity(URI, ["localhost"])
    quiet, flooded = [], []
    for _ in range(slices):
        quiet.append(await _slice(seconds, cpu))
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "client.der").write_bytes(identity.der)
            async with _plant(Path(name), identity):
                flooded.append(await _slice(seconds, cpu))
    return {
        "quiet_p99_us": [round(each, 1) for each in quiet],
        "flooded_p99_us": [round(each, 1) for each in flooded],
        "ratio_p99": round(median(flooded) / median(quiet), 3),
    }


def main() -> None:
    """Measure and print."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--seconds", type=float, default=5.0, help="of a slice")
    arguments.add_argument("--slices", type=int, default=5)
    arguments.add_argument("--cpu", type=int, default=1)
    options = arguments.parse_args()
    report.prepare()
    result = asyncio.run(run(options.seconds, options.slices, options.cpu))
    report.show("Lateness with the plant connected", result, options.json)


if __name__ == "__main__":
    main()
