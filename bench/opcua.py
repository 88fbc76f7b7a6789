"""How many changing values how many clients get: our server, and stock asyncua beside it in the same run.

500 doubles change at a given rate; every client watches all of them over SignAndEncrypt. Told for each
server: the rate every client really got, the rate its writer kept up, the server's share of one core,
the age of a value when it arrives (p99), and how many changes were lost.
`python -m bench.opcua [--json] [--seconds S]`.
"""

import argparse
import asyncio
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

VALUES = 500
LOADS = ((1, 10.0), (5, 10.0), (20, 5.0))  # clients, changes a second
PUBLISHING_MS = 100.0
QUEUE_SIZE = 20
SECONDS_MIN = 3.0
WARM_UP_S = 1.5
USER, PASSWORD, URI = "bench", "bench password", "urn:foldline:bench"
EPOCH_S = 11_644_473_600.0  # 1601 to 1970
TICKS_PER_S = 1e7


# -- servers, each in a process of its own ----------------------------------------------------


async def serve_ours(folder: Path, rate_hz: float) -> None:
    """Serve with the gateway's server."""
    from asyncua import ua

    from controller.gateway.log import set_up_logging
    from controller.gateway.opcua.server import GatewayServer
    from controller.gateway.opcua.users import Role
    from controller.gateway.opcua.values import LiveValue
    from controller.settings.opcua import OpcUaSettings

    set_up_logging()
    settings = OpcUaSettings(port=0, sessions_per_user_max=50)
    server = GatewayServer(settings, "bench", folder / "state", "0")
    server.users.add(USER, PASSWORD, frozenset({Role.OBSERVER}))
    trusted = folder / "state/pki/trusted/certs"
    shutil.copy(folder / "client.der", trusted / "client.der")
    await server.init()
    objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    zero = ua.Variant(-1.0, ua.VariantType.Double)
    values = []
    for index in range(VALUES):
        node = server.space.add_variable(objects, f"v{index}", f"v{index}", zero)
        live = LiveValue(node, server.space.value(node), ua.VariantType.Double, is_array=False)
        values.append(live)
    await server.start()
    _tell(server.port, server.space.own, server.identity.der)

    async def write(tick: float, now: Any) -> None:
        for value in values:
            value.set(tick, now)

    await _change(rate_hz, write)


async def serve_stock(folder: Path, rate_hz: float) -> None:
    """Serve with asyncua as it comes, secured as it can be configured."""
    from asyncua import Server, ua
    from asyncua.crypto.permission_rules import User, UserRole

    from controller.gateway.opcua.certificates import own_identity

    class Users:
        def get_user(self, iserver: Any, username: Any = None, **_: Any) -> Any:
            return User(role=UserRole.User, name=username) if username == USER else None

    identity = own_identity(folder / "stock", "urn:stock", ["127.0.0.1"])
    server = Server(user_manager=Users())
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    await server.load_certificate(str(folder / "stock/own/certificate.der"))
    await server.load_private_key(str(folder / "stock/own/key.pem"))
    index = await server.register_namespace("urn:bench")
    nodes = [
        await server.nodes.objects.add_variable(ua.NodeId(f"v{n}", index), f"v{n}", -1.0)
        for n in range(VALUES)
    ]
    await server.start()
    assert server.bserver is not None
    _tell(server.bserver.port, index, identity.der)

    async def write(tick: float, now: Any) -> None:
        variant = ua.Variant(tick, ua.VariantType.Double)
        for node in nodes:
            await node.write_value(ua.DataValue(variant, SourceTimestamp=now))

    await _change(rate_hz, write)


def _tell(port: int, namespace: int, certificate: bytes) -> None:
    told = {"port": port, "namespace": namespace, "certificate": certificate.hex()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def _change(rate_hz: float, write: Any) -> None:
    """Change every value at a fixed rate; a writer that falls behind skips and is slower."""
    import datetime

    tick, deadline = 0, time.monotonic()
    while True:
        deadline = max(deadline + 1.0 / rate_hz, time.monotonic())
        await asyncio.sleep(deadline - time.monotonic())
        await write(float(tick), datetime.datetime.now(datetime.UTC))
        tick += 1
        sys.stdout.write(f"{tick} {time.monotonic()}\n")
        sys.stdout.flush()


# -- clients: as light as can be, so that the server is what is measured -----------------------


def item(number: int, namespace: int) -> Any:
    """Return the request to watch one of the values."""
    from asyncua import ua

    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = ua.NodeId(f"v{number}", namespace)
    request.ItemToMonitor.AttributeId = ua.AttributeIds.Value
    request.MonitoringMode = ua.MonitoringMode.Reporting
    parameters = request.RequestedParameters
    parameters.ClientHandle, parameters.QueueSize = number, QUEUE_SIZE
    parameters.DiscardOldest, parameters.SamplingInterval = True, 0.0
    return request


class Watcher:
    """One client that watches every value and notes what arrives when."""

    def __init__(self) -> None:
        self.ticks: list[Any] = []
        self.ages_s: list[Any] = []

    async def connect(self, port: int, namespace: int, server: bytes, identity: Any) -> None:
        """Log in and subscribe."""
        from asyncua import ua

        from tests.wire.raw_channel import RawChannel

        self.channel = await RawChannel(port).dial()
        await self.channel.hello()
        await self.channel.open(identity, server, lifetime_ms=3_600_000)
        self.token = await self._log_in(server, identity)
        create = ua.CreateSubscriptionRequest()
        create.Parameters.RequestedPublishingInterval = PUBLISHING_MS
        create.Parameters.RequestedLifetimeCount = 10_000
        create.Parameters.RequestedMaxKeepAliveCount = 100
        create.Parameters.PublishingEnabled = True
        made = await self.channel.ask(create, self.token)
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = made.Parameters.SubscriptionId
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        request.Parameters.ItemsToCreate = [item(n, namespace) for n in range(VALUES)]
        created = await self.channel.ask(request, self.token)
        assert all(each.StatusCode.is_good() for each in created.Results)

    async def _log_in(self, server: bytes, identity: Any) -> Any:
        from tests.wire.raw_session import activation, session_request

        created = await self.channel.ask(session_request(identity, URI))
        token = created.Parameters.AuthenticationToken
        request = activation(self.channel, created, server, USER, PASSWORD)
        done = await self.channel.ask(request, token)
        done.ResponseHeader.ServiceResult.check()
        return token

    async def watch(self) -> None:
        """Keep five publish requests waiting and take what comes."""
        for _ in range(5):
            await self._publish([])
        while True:
            body, arrived_s = await self._next_body()
            subscription, sequence = self._take(body, arrived_s)
            await self._publish([(subscription, sequence)])

    async def _publish(self, acknowledged: list[tuple[int, int]]) -> None:
        from asyncua import ua
        from asyncua.ua.ua_binary import struct_to_binary

        request = ua.PublishRequest()
        request.RequestHeader.AuthenticationToken = self.token
        for subscription, sequence in acknowledged:
            each = ua.SubscriptionAcknowledgement()
            each.SubscriptionId, each.SequenceNumber = subscription, sequence
            request.Parameters.SubscriptionAcknowledgements.append(each)
        await self.channel.send(self.channel.encoded(struct_to_binary(request)))

    async def _next_body(self) -> tuple[bytes, float]:
        from asyncua.common.utils import Buffer
        from asyncua.ua import ua_binary

        while True:
            _, data = await self.channel.frame()
            arrived_s = time.time()
            buffer = Buffer(data)
            header = ua_binary.header_from_binary(buffer)
            message = self.channel.connection.receive_from_header_and_body(header, buffer)
            if message is not None:
                return bytes(message.body()), arrived_s

    def _take(self, body: bytes, arrived_s: float) -> tuple[int, int]:
        """Read a PublishResponse by its layout; all items of a message look alike."""
        at = 4 + 24  # type and a header without diagnostics
        subscription, available = struct.unpack_from("<Ii", body, at)
        at += 8 + 4 * max(available, 0) + 1
        sequence, _, notifications = struct.unpack_from("<IqI", body, at)
        at += 16
        if notifications:
            at += 4 + 1 + 4
            (count,) = struct.unpack_from("<I", body, at)
            self._take_items(body[at + 4 :], count, arrived_s)
        return subscription, sequence

    def _take_items(self, data: bytes, count: int, arrived_s: float) -> None:
        mask = data[4]
        fields: list[tuple[str, Any]] = [
            ("handle", "<u4"),
            ("mask", "u1"),
            ("type", "u1"),
            ("value", "<f8"),
        ]
        for bit, name, kind in ((2, "status", "<u4"), (4, "source", "<i8"), (8, "server", "<i8")):
            fields += [(name, kind)] if mask & bit else []
        rows = np.frombuffer(data, np.dtype(fields), count)
        assert (rows["mask"] == mask).all(), "the values of a message do not look alike"
        self.ticks.append(rows["value"])
        self.ages_s.append(arrived_s - (rows["source"] / TICKS_PER_S - EPOCH_S))


async def measure(
    kind: str, clients: int, rate_hz: float, seconds: float, folder: Path, identity: Any
) -> dict[str, float]:
    """Run one server under one load."""
    command = [sys.executable, "-m", "bench.opcua", "--serve", kind, str(folder), str(rate_hz)]
    server = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    watchers = [Watcher() for _ in range(clients)]
    try:
        assert server.stdout is not None
        told = json.loads(await asyncio.wait_for(server.stdout.readline(), 60))
        certificate = bytes.fromhex(told["certificate"])
        tasks = []
        for each in watchers:
            await each.connect(told["port"], told["namespace"], certificate, identity)
            tasks.append(asyncio.create_task(each.watch()))
        writes: list[tuple[int, float]] = []
        tasks.append(asyncio.create_task(_follow_writer(server.stdout, writes)))
        await asyncio.sleep(WARM_UP_S)
        writes.clear()
        for each in watchers:
            each.ticks, each.ages_s = [], []
        cpu_s, start_s = _cpu_s(server.pid), time.monotonic()
        await asyncio.sleep(seconds)
        wall_s = time.monotonic() - start_s
        cpu_s = _cpu_s(server.pid) - cpu_s
        for task in tasks:
            if task.done():
                task.result()  # a watcher that failed measures nothing
            task.cancel()
        # A cancellation that meets an answer is lost (asyncio.wait_for): the connection's end is not.
        for each in watchers:
            each.channel.hang_up()
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for each in watchers:
            if hasattr(each, "channel"):
                each.channel.hang_up()
        server.kill()
        await server.wait()
    return _figures(watchers, wall_s, cpu_s) | {"writer_hz": _rate_hz(writes)}


async def _follow_writer(lines: asyncio.StreamReader, writes: list[tuple[int, float]]) -> None:
    """Note which change the server's writer wrote when, on its own clock."""
    async for line in lines:
        tick, at_s = line.split()
        writes.append((int(tick), float(at_s)))


def _rate_hz(writes: list[tuple[int, float]]) -> float:
    (first, start_s), (last, end_s) = writes[0], writes[-1]
    return round((last - first) / (end_s - start_s), 2)


def _figures(watchers: list[Watcher], wall_s: float, cpu_s: float) -> dict[str, float]:
    rates, lost, ages = [], 0, []
    for each in watchers:
        ticks = np.concatenate(each.ticks) if each.ticks else np.zeros(0)
        rates.append(len(ticks) / VALUES / wall_s)
        ages += each.ages_s
        # Between the first and the last whole tick every value must have arrived.
        seen, counts = np.unique(ticks, return_counts=True)
        inner = counts[1:-1]
        spanned = int(seen[-1] - seen[0]) - 1 if len(seen) > 2 else 0
        lost += max(spanned * VALUES - int(inner.sum()), 0)
    age = np.concatenate(ages) if ages else np.zeros(1)
    return {
        "reached_hz": round(min(rates), 2),
        "cpu_share": round(cpu_s / wall_s, 3),
        "age_p99_ms": round(float(np.percentile(age, 99)) * 1e3, 1),
        "lost": lost,
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


async def run(seconds: float) -> list[dict[str, Any]]:
    """Measure every load with both servers."""
    from controller.gateway.opcua.certificates import create_identity

    identity = create_identity(URI, ["localhost"])
    results = []
    for clients, rate_hz in LOADS:
        row: dict[str, Any] = {"clients": clients, "rate_hz": rate_hz}
        for kind in ("ours", "stock"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "client.der").write_bytes(identity.der)
                row[kind] = await measure(kind, clients, rate_hz, seconds, folder, identity)
        results.append(row)
    return results


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--seconds", type=float, default=8.0, help="a measurement's length")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, folder, rate_hz = arguments.serve
        serve = serve_ours if kind == "ours" else serve_stock
        asyncio.run(serve(Path(folder), float(rate_hz)))
        return
    if arguments.seconds < SECONDS_MIN:
        parser.error(f"--seconds: {SECONDS_MIN:g} at least, the writer is looked at once a second")
    results = asyncio.run(run(arguments.seconds))
    if arguments.json:
        print(json.dumps(results))
        return
    for row in results:
        print(f"{row['clients']} clients, {VALUES} values at {row['rate_hz']:g} Hz")
        for kind in ("ours", "stock"):
            words = ", ".join(f"{key} {value}" for key, value in row[kind].items())
            print(f"  {kind}: {words}")


if __name__ == "__main__":
    main()
