"""The whole gateway is killed while cells finish: back with the right counts, no cell lost, none twice."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from controller.gateway.opcua.certificates import create_identity
from controller.gateway.opcua.users import Role, UsersFile
from controller.gateway.records.outbox import Outbox
from controller.shared.records import RECORDS_MAX
from tests.wire import killing
from tests.wire.opcua_bench import CLIENT_URI, ROOT, eventually, write_identity
from tests.wire.scripted_core import ScriptedCore

PASSWORD = "password of the test"


class Plant:
    """A scripted core that finishes cells, and the gateway as the supervisor would start it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state, self.port = folder / "state", port
        self.core = ScriptedCore()
        self.config = folder / "machine.yaml"
        document = yaml.safe_load((ROOT / "config/machine.yaml").read_text())
        document["opcua"] = {"host": "127.0.0.1", "port": port, "publishing_period_s": 0.05}
        self.config.write_text(yaml.safe_dump(document))
        identity = create_identity(CLIENT_URI, [])
        self.certificate, self.key = write_identity(folder, "client", identity)
        trusted = self.state / "pki/trusted/certs"
        trusted.mkdir(parents=True)
        (trusted / "client.der").write_bytes(identity.der)
        UsersFile(self.state / "users.yaml").add("test", PASSWORD, frozenset({Role.OBSERVER}))
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        arguments = ["--memory-fd", str(self.core.fd), "--config", str(self.config)]
        arguments += ["--state-dir", str(self.state)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller.gateway.process", *arguments],
            pass_fds=(self.core.fd,),
            stderr=subprocess.DEVNULL,
        )

    def kill(self, keep_busy: Callable[[], None] | None = None) -> bool:
        """Kill gateway and record writer at once; tell whether they died within a write."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pids = [pid, *map(int, children)]
        caught = killing.kill(pids, self.state / "records.sqlite", keep_busy)
        self.process.wait()
        return caught

    def live(self, chance: random.Random) -> None:
        """Live on as a core, and finish some cells."""
        self.core.turn()
        self.produce(chance)

    def produce(self, chance: random.Random) -> None:
        """Finish some cells, as fast as the core may."""
        pending = int(self.core.memory["records"]["newest"]) - self.core.acknowledged
        for _ in range(min(chance.randrange(8), RECORDS_MAX - pending)):
            self.core.finish_cell(layers=2)

    async def counts(self) -> tuple[int, int]:
        """Return what the gateway shows: cells done, results open."""
        client = Client(f"opc.tcp://127.0.0.1:{self.port}/", timeout=5)
        client.application_uri = CLIENT_URI
        mode = ua.MessageSecurityMode.SignAndEncrypt
        await client.set_security(
            SecurityPolicyBasic256Sha256, self.certificate, self.key, mode=mode
        )
        client.set_user("test")
        client.set_password(PASSWORD)
        async with client:
            space = await client.get_namespace_index("urn:foldline:machine")
            counters = "Machine.MachineryBuildingBlocks.OperationCounters.OperationCycleCounter"
            done = await client.get_node(ua.NodeId(counters, space)).read_value()
            results = ua.NodeId("Machine.ResultManagement.OpenResults", space)
            return int(done), int(await client.get_node(results).read_value())


async def living(plant: Plant, chance: random.Random) -> AsyncIterator[None]:
    while True:
        plant.live(chance)
        yield
        await asyncio.sleep(0.01)


async def campaign(plant: Plant, kills: int, chance: random.Random) -> None:
    async def live() -> None:
        async for _ in living(plant, chance):
            pass

    life = asyncio.create_task(live())
    plant.start()
    within_write = 0
    for number in range(kills):
        before = plant.core.acknowledged
        # It works again: it acknowledges what finished meanwhile.
        await eventually(lambda b=before: plant.core.acknowledged > b, 60.0)
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        # Every second time at any instant, else while a cell is being stored.
        within_write += plant.kill(partial(plant.live, chance) if number % 2 == 0 else None)
        plant.start()
    newest = int(plant.core.memory["records"]["newest"])
    await eventually(lambda: plant.core.acknowledged > newest, 60.0)
    life.cancel()
    produced = int(plant.core.memory["records"]["newest"])

    async def shown() -> bool:
        plant.core.turn()
        try:
            return await plant.counts() == (produced, produced)
        except (OSError, TimeoutError, ua.UaError):
            return False

    pulse = asyncio.create_task(plant.core.run())
    await eventually(shown, 60.0)
    pulse.cancel()
    plant.process.terminate()
    assert plant.process.wait(60) == 0
    stored = [
        each.counter for each in Outbox(plant.state / "records.sqlite").after(0, produced + 10)
    ]
    assert stored == list(range(1, produced + 1))
    assert plant.core.acknowledged == produced
    print(f"{produced} cells, {kills} kills, {within_write} of them within a write")
    assert within_write >= kills // 2


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(folder: Path, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    plant = Plant(folder, free_port())
    try:
        asyncio.run(campaign(plant, kills, random.Random(seed)))
    finally:
        if plant.process.poll() is None:
            plant.kill()
        os.close(plant.core.fd)


def test_a_killed_gateway_loses_no_cell_and_comes_back_with_the_counts(tmp_path: Path) -> None:
    run(tmp_path, 5, seed=random.randrange(10**9))


@pytest.mark.long
def test_a_gateway_killed_a_hundred_times_loses_no_cell(tmp_path: Path) -> None:
    run(tmp_path, 100, seed=random.randrange(10**9))
