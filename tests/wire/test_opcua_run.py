"""`foldline run` with a plant client of another make beside it, and the gateway killed under it."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from controller.gateway.opcua.certificates import create_identity
from controller.gateway.opcua.users import Role, UsersFile
from tests.wire.opcua_bench import (
    CLIENT_URI,
    ROOT,
    NodeClient,
    NodeError,
    eventually,
    write_identity,
)
from tests.wire.test_gateway_killed import free_port

PASSWORD = "password of the run"
MACHINE = "PackML.BaseStateMachine.MachineState.ExecuteState"
COUNTER = "MachineryBuildingBlocks.OperationCounters.OperationCycleCounter"


class Run:
    """A machine in a folder of its own, and who looks at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "config", folder / "config")
        path = folder / "config/machine.yaml"
        document = yaml.safe_load(path.read_text())
        port = free_port()
        document["opcua"] = {"host": "127.0.0.1", "port": port}
        path.write_text(yaml.safe_dump(document))
        self.url = f"opc.tcp://127.0.0.1:{port}/"
        identity = create_identity(CLIENT_URI, [])
        self.certificate, self.key = write_identity(folder, "client", identity)
        trusted = folder / ".foldline/pki/trusted/certs"
        trusted.mkdir(parents=True)
        (trusted / "client.der").write_bytes(identity.der)
        UsersFile(folder / ".foldline/users.yaml").add("operator", PASSWORD, frozenset(Role))
        self.log = (folder / "log").open("w")

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from controller.cli import main; main()", "run"]
        for name, path in (
            ("config", "machine.yaml"),
            ("recipe", "recipes/reference.yaml"),
            ("plant", "plant.yaml"),
        ):
            command += [f"--{name}", f"config/{path}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, cwd=self.folder, stdout=self.log, stderr=self.log, env=environment
        )

    def gateway_pid(self) -> int:
        """Return the gateway's process id: the one that works in this folder."""
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes()
                here = (entry / "cwd").readlink() == self.folder
            except OSError:
                continue
            if here and b"controller.gateway.process" in command:
                return int(entry.name)
        raise AssertionError("there is no gateway")


def test_a_client_sees_the_machine_obey_and_the_gateway_come_back(tmp_path: Path) -> None:
    asyncio.run(story(Run(tmp_path)))


async def story(run: Run) -> None:
    machine = run.start()
    node = NodeClient(run)  # type: ignore[arg-type]  # it has what a bench has
    await node.start()
    try:
        await live(run, node)
        machine.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(machine.wait, 60) == 0, (run.folder / "log").read_text()[
            -3000:
        ]
    finally:
        await node.stop()
        if machine.poll() is None:
            machine.kill()
            machine.wait()


async def live(run: Run, node: NodeClient) -> None:
    names = itertools.count()

    async def connected() -> str:
        name = f"client{next(names)}"
        try:
            await node("connect", name=name, url=run.url, user="operator", password=PASSWORD)
        except NodeError:
            return ""
        return name

    async def read(name: str, text: str) -> Any:
        (value,) = await node("read", name=name, nodes=[f"ns=9;s=Machine.{text}"])
        return value["value"] if value["status"] == "Good" else value["status"]

    async def shows(name: str, word: str) -> None:
        async def there() -> bool:
            return await read(name, f"{MACHINE}.CurrentState") == word

        await eventually(there, 180.0)

    first = await eventually(connected, 120.0)
    await shows(first, "Execute")
    for method, state in (("Hold", "Held"), ("Unhold", "Execute")):
        owner = f"ns=9;s=Machine.{MACHINE}"
        called = await node("call", name=first, object=owner, method=f"{owner}.{method}")
        assert called["status"] == "Good"
        await shows(first, state)
    cycles, cells = await read(first, "Diagnostics.Cycles"), await read(first, COUNTER)
    os.kill(run.gateway_pid(), signal.SIGKILL)
    second = await eventually(connected, 60.0)
    await shows(second, "Execute")
    assert await read(second, "Diagnostics.Cycles") > cycles
    assert await read(second, COUNTER) >= cells
    assert await read(second, "Stations.station 1.CellInWork.Cell") >= 1
