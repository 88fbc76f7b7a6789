"""`foldline run` beside real clients: a job from the MES script, the gateway killed, the core killed."""

import asyncio
import itertools
import json
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
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView, map_memory
from tests.wire.opcua_bench import (
    CLIENT_URI,
    ROOT,
    NodeClient,
    NodeError,
    eventually,
    hold_port,
    write_identity,
)

PASSWORD = "password of the run"
BASE = "PackML.BaseStateMachine"
MACHINE = f"{BASE}.MachineState"
EXECUTE = f"{MACHINE}.ExecuteState"
CONTROL = "JobManagement.JobOrderControl"
COUNTER = "MachineryBuildingBlocks.OperationCounters.OperationCycleCounter"
CELLS = 5
CORE_DIED = 1
RESIDENT_MB_MAX = 200.0
OVERRUNS_MAX = 1000
WAIT_S_MAX = 600.0  # compiled code may be made first, on a busy machine
HEARTBEAT_S_MAX = 30.0  # an hour to a loop of 1 ms: it is dead, not late


class Run:
    """A machine in a folder of its own, and who looks at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "config", folder / "config")
        path = folder / "config/machine.yaml"
        document = yaml.safe_load(path.read_text())
        self.held = hold_port()
        port = self.held.getsockname()[1]
        document["opcua"] = {"host": "127.0.0.1", "port": port}
        document["overruns_in_a_row_max"] = OVERRUNS_MAX  # late is not the point here
        path.write_text(yaml.safe_dump(document))
        self._add_small_recipe()
        self.url = f"opc.tcp://127.0.0.1:{port}/"
        identity = create_identity(CLIENT_URI, [])
        self.certificate, self.key = write_identity(folder, "client", identity)
        trusted = folder / ".foldline/pki/trusted/certs"
        trusted.mkdir(parents=True)
        (trusted / "client.der").write_bytes(identity.der)
        users = UsersFile(folder / ".foldline/users.yaml")
        users.add("operator", PASSWORD, frozenset({Role.OPERATOR}))
        users.add("mes", PASSWORD, frozenset({Role.MES}))
        self.log_path = folder / "log"
        self.log = self.log_path.open("w")

    def _add_small_recipe(self) -> None:
        recipes = self.folder / "config/recipes"
        recipe = yaml.safe_load((recipes / "reference.yaml").read_text())
        recipe |= {"name": "small", "cathodes": 2, "stack_mass_kg": 0.05}
        (recipes / "small.yaml").write_text(yaml.safe_dump(recipe))

    def start(self) -> subprocess.Popen[bytes]:
        """Start the machine; Reset and Start are left to its clients."""
        command = [sys.executable, "-c", "from controller.cli import main; main()", "run"]
        command += ["--manual"]
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

    async def follow_job(self) -> bytes:
        """Run the MES script of the documentation to its end and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "docs/mes_five_cells.py"), self.url, "mes", PASSWORD,
            str(self.certificate), str(self.key), "small",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), WAIT_S_MAX)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()[-2000:]
        return output

    def pid_of(self, module: str) -> int:
        """Return a child's process id: the one that works in this folder."""
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                here = (entry / "cwd").readlink() == self.folder
            except OSError:
                continue
            if here and module.encode() in command:
                return int(entry.name)
        raise AssertionError(f"there is no {module}")

    def resident_mb(self) -> float:
        """Return what the gateway takes, the pages of the shared memory it has seen included."""
        pid = self.pid_of("controller.gateway.process")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def view_of(self, supervisor: subprocess.Popen[bytes]) -> SharedView:
        """Return the run's shared memory, as a process beside it may look at it."""
        for link in Path(f"/proc/{supervisor.pid}/fd").iterdir():
            try:
                name = str(link.readlink())
            except FileNotFoundError:  # closed since it was listed
                continue
            if name.startswith("/memfd:foldline "):
                descriptor = os.open(link, os.O_RDWR)
                memory = map_memory(descriptor)
                os.close(descriptor)
                return SharedView(memory)
        raise AssertionError("the supervisor holds no shared memory")

    def starts_s(self) -> list[float]:
        """Return how long each gateway took to start, as it said itself."""
        rows = [line for line in self.log_path.read_text().splitlines() if "gateway serves" in line]
        return [json.loads(line[line.index("{") :])["start_s"] for line in rows]


class Client:
    """node-opcua, logged in as the operator, anew whenever the gateway was killed."""

    def __init__(self, run: Run, node: NodeClient) -> None:
        self.run, self.node = run, node
        self._numbers = itertools.count()
        self.name = ""

    async def connect(self) -> None:
        """Log in, as soon as there is a gateway."""

        async def connected() -> bool:
            self.name = f"client{next(self._numbers)}"
            login = {"url": self.run.url, "user": "operator", "password": PASSWORD}
            try:
                await self.node("connect", name=self.name, **login)
            except NodeError:
                return False
            return True

        await eventually(connected, WAIT_S_MAX)

    async def read(self, text: str) -> Any:
        """Return a value, or the word of its status where that is not good."""
        nodes = [f"ns=9;s=Machine.{text}"]
        (value,) = await self.node("read", name=self.name, nodes=nodes)
        return value["value"] if value["status"] == "Good" else value["status"]

    async def call(self, owner: str, method: str, *inputs: Any) -> str:
        """Call a method and return the word of its status."""
        owner = f"ns=9;s=Machine.{owner}"
        called = await self.node(
            "call", name=self.name, object=owner, method=f"{owner}.{method}", inputs=list(inputs)
        )
        return str(called["status"])

    async def command(self, owner: str, method: str, *inputs: Any) -> None:
        """Give the machine a command that it can obey."""

        async def taken() -> bool:
            status = await self.call(owner, method, *inputs)
            # A core that a busy machine holds up answers too late, or is silent for a while.
            assert status in ("Good", "BadTimeout", "BadNoCommunication")
            return status != "BadNoCommunication"

        await eventually(taken, WAIT_S_MAX)

    async def counts_beyond(self, text: str, number: int) -> None:
        """Wait until a number is shown that is larger."""

        async def there() -> bool:
            shown = await self.read(text)
            return isinstance(shown, int) and shown > number

        await eventually(there, WAIT_S_MAX)

    async def shows(self, text: str, wanted: Any) -> None:
        """Wait until a value is shown."""

        async def there() -> bool:
            return bool(await self.read(text) == wanted)

        await eventually(there, WAIT_S_MAX)


def test_a_job_is_made_and_the_plant_sees_gateway_and_core_die(tmp_path: Path) -> None:
    asyncio.run(story(Run(tmp_path)))


async def story(run: Run) -> None:
    node = NodeClient(run)  # type: ignore[arg-type]  # it has what a bench has
    await node.start()
    machine = run.start()
    try:
        client = Client(run, node)
        await client.connect()
        await five_cells_for_the_mes(run, client)
        resident_mb = run.resident_mb()
        assert resident_mb < RESIDENT_MB_MAX
        await the_gateway_dies(run, client, run.view_of(machine))
        await the_core_dies(run, client)
        machine.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(machine.wait, WAIT_S_MAX) == CORE_DIED
        machine = run.start()
        await another_run(run, client)
        machine.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(machine.wait, WAIT_S_MAX) == 0
    except BaseException:
        print(run.log_path.read_text()[-6000:])
        raise
    finally:
        await node.stop()
        if machine.poll() is None:
            machine.terminate()
            machine.wait(WAIT_S_MAX)
        run.held.close()
    print(f"gateways served after {run.starts_s()} s; {resident_mb:.0f} MB after a job")
    assert len(run.starts_s()) == 3


async def to_idle(client: Client) -> None:
    """Clear and reset as an operator; the machine comes to Idle with a plan."""

    async def idle() -> bool:
        state = await client.read(f"{EXECUTE}.CurrentState")
        if await client.read(f"{BASE}.CurrentState") == "Aborted":
            await client.call(BASE, "Clear")
        elif await client.read(f"{MACHINE}.CurrentState") == "Stopped":
            await client.call(MACHINE, "Reset")
        return bool(state == "Idle")

    await eventually(idle, WAIT_S_MAX)


async def five_cells_for_the_mes(run: Run, client: Client) -> None:
    await client.shows("Recipes.Next", "reference")
    await to_idle(client)
    job = asyncio.create_task(run.follow_job())
    await client.shows(f"{EXECUTE}.CurrentState", "Execute")
    await client.shows("Recipes.Active", "small")
    for method, state in (("Hold", "Held"), ("Unhold", "Execute")):
        await client.command(EXECUTE, method)
        await client.shows(f"{EXECUTE}.CurrentState", state)
    assert f"{CELLS} results collected".encode() in await job
    await client.shows("ResultManagement.OpenResults", 0)
    await client.shows(COUNTER, CELLS)
    await client.shows(f"{EXECUTE}.CurrentState", "Complete")


async def the_gateway_dies(run: Run, client: Client, view: SharedView) -> None:
    """The core works on: its cycles and its heartbeat while there is no gateway, and what is shown after."""
    await client.command(EXECUTE, "Reset")
    await client.shows(f"{EXECUTE}.CurrentState", "Idle")
    no_parameters = {"type": "ExtensionObject", "array": True, "value": [], "dataType": "ns=5;i=3"}
    await client.command(EXECUTE, "Start", no_parameters)
    await client.shows(f"{EXECUTE}.CurrentState", "Execute")
    cycles = int(view.read_machine()["cycle"])  # type: ignore[index]
    os.kill(run.pid_of("controller.gateway.process"), signal.SIGKILL)
    back = asyncio.create_task(client.connect())
    beats = 0
    while not back.done():
        before = int(view.header["heartbeats_ns"][ProcessId.CORE])
        beaten = lambda b=before: int(view.header["heartbeats_ns"][ProcessId.CORE]) > b  # noqa: E731
        await eventually(beaten, HEARTBEAT_S_MAX)
        beats += 1
    await back
    assert beats > 1
    await client.shows(f"{EXECUTE}.CurrentState", "Execute")
    await client.counts_beyond("Diagnostics.Cycles", cycles)
    await client.counts_beyond(COUNTER, CELLS)


async def the_core_dies(run: Run, client: Client) -> None:
    """Every value of the machine turns Bad; the gateway lives on and says so."""
    os.kill(run.pid_of("controller.core"), signal.SIGKILL)
    for text in (
        "PackML.Status.StateNumber",
        f"{EXECUTE}.CurrentState",
        "Stations.station 1.Web.Tension",
        "Diagnostics.Cycles",
    ):
        await client.shows(text, "BadNoCommunication")
    assert await client.call(EXECUTE, "Hold") == "BadNoCommunication"
    assert await client.read("ResultManagement.LatestResultId")  # what is on disk stays good


async def another_run(run: Run, client: Client) -> None:
    """Values are good again; the job and its results are remembered."""
    await client.connect()
    await client.counts_beyond("PackML.Status.StateNumber", 0)
    (entry,) = await client.read(f"{CONTROL}.JobOrderList")
    assert entry["state"][0]["stateText"] == "Ended"
    assert len(str(await client.read("ResultManagement.LatestResultId"))) > 32
    assert await client.read("ResultManagement.OpenResults") >= 0
