"""A gateway as the supervisor starts it, beside a scripted core: to be killed, and started again."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import yaml
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from controller.gateway.opcua.certificates import create_identity
from controller.gateway.opcua.users import Role, UsersFile
from controller.shared.records import RECORDS_MAX
from tests.wire import killing
from tests.wire.opcua_bench import CLIENT_URI, ROOT, TIMEOUT_S, hold_port, write_identity
from tests.wire.scripted_core import ScriptedCore

PASSWORD = "password of the test"


class Plant:
    """A scripted core that finishes cells, and the gateway in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.held = hold_port()
        self.port = self.held.getsockname()[1]
        self.core = ScriptedCore()
        self.config = folder / "machine.yaml"
        document = yaml.safe_load((ROOT / "config/machine.yaml").read_text())
        document["opcua"] = {"host": "127.0.0.1", "port": self.port, "publishing_period_s": 0.05}
        self.config.write_text(yaml.safe_dump(document))
        identity = create_identity(CLIENT_URI, [])
        self.certificate, self.key = write_identity(folder, "client", identity)
        trusted = self.state / "pki/trusted/certs"
        trusted.mkdir(parents=True)
        (trusted / "client.der").write_bytes(identity.der)
        UsersFile(self.state / "users.yaml").add("test", PASSWORD, frozenset({Role.OPERATOR}))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the gateway."""
        arguments = ["--memory-fd", str(self.core.fd), "--config", str(self.config)]
        arguments += ["--state-dir", str(self.state)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller.gateway.process", *arguments],
            pass_fds=(self.core.fd,),
            stderr=subprocess.DEVNULL,
        )

    def kill(self, keep_busy: Callable[[], None] | None = None) -> bool:
        """Kill gateway and record writer at once; tell whether they died within a write."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pids = [pid, *map(int, children)]
        caught = killing.kill(pids, self.state / "records.sqlite", keep_busy)
        self.process.wait()
        return caught

    def live(self, chance: random.Random) -> None:
        """One turn of the core, and some cells, as fast as it may finish them."""
        self.core.turn()
        pending = int(self.core.memory["records"]["newest"]) - self.core.acknowledged
        for _ in range(min(chance.randrange(8), RECORDS_MAX - pending)):
            self.core.finish_cell(layers=2)

    def end(self) -> int:
        """End the gateway as the supervisor does and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_S)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.held.close()
        os.close(self.core.fd)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Log in."""
        client = Client(f"opc.tcp://127.0.0.1:{self.port}/", timeout=TIMEOUT_S)
        client.application_uri = CLIENT_URI
        mode = ua.MessageSecurityMode.SignAndEncrypt
        policy = SecurityPolicyBasic256Sha256
        await client.set_security(policy, self.certificate, self.key, mode=mode)
        client.set_user("test")
        client.set_password(PASSWORD)
        async with client:
            yield client
