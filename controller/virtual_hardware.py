"""Virtual hardware as the supervisor starts it: a wire in a namespace of its own, and who lives there."""

import json
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.processes import Child
from controller.settings.fieldbus import VIRTUAL, load_topology
from controller.settings.machine import MachineSettings
from drivers.ethercat.namespace import Namespaces, Tier, find_namespaces

MASTER, SLAVES = "fold0", "fold1"


class VirtualHardware:
    """The simulated machine behind a bus; core and io process join it where its wire is.

    Without namespaces there is no wire: the core then carries the frames to virtual slaves of its own.
    """

    def __init__(self, config: Path, plant: Path, seed: int, namespaces: Namespaces) -> None:
        self.tier = namespaces.tier
        self._lacking = namespaces.lacking
        self._ready_fd, ready_fd = os.pipe()
        self._result_fd = os.memfd_create("foldline-figures")
        fds = (ready_fd, self._result_fd)
        arguments = ["controller.virtual_bus", "--config", str(config), "--plant", str(plant)]
        arguments += ["--seed", str(seed), "--veth", MASTER, SLAVES]
        arguments += ["--ready-fd", str(ready_fd), "--result-fd", str(self._result_fd)]
        self.child = Child("virtual bus", arguments, fds, restart=False)
        if self.has_wire:
            self.child.prefix = self.tier.enter_new

    @property
    def has_wire(self) -> bool:
        """Tell whether there is a wire with its own process behind it."""
        return self.tier is not Tier.SOCKETLESS

    def start(self, say: Callable[[str], None]) -> None:
        """Say which tier it is, and what better ones lack; start the process where there is a wire."""
        for problem in self._lacking:
            say(f"virtual hardware: {problem}")
        say(f"virtual hardware: {self.tier.value}")
        if self.has_wire:
            self.child.start()

    @property
    def ready(self) -> bool:
        """Tell whether everything answers."""
        return not self.has_wire or bool(select.select([self._ready_fd], [], [], 0)[0])

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts a process where the wire is."""
        process = self.child.process
        return self.tier.enter(process.pid) if process is not None else ()

    @property
    def core_arguments(self) -> list[str]:
        """What the core has to know."""
        return ["--interface", MASTER] if self.has_wire else ["--lockstep"]

    @property
    def io_arguments(self) -> list[str]:
        """What the io process has to know: without a wire there are no devices to poll."""
        return [] if self.has_wire else ["--without-devices"]

    def figures(self) -> dict[str, Any]:
        """Return what the judge measured; nothing where the core has it, or before the end."""
        with os.fdopen(self._result_fd) as file:
            file.seek(0)
            text = file.read()
        return {"figures": json.loads(text)} if text else {}


def virtual_hardware(
    settings: MachineSettings, config: Path, plant: Path, seed: int
) -> VirtualHardware | None:
    """Return the virtual hardware that a machine file asks for, None where it names a real bus or none."""
    if settings.hal != "ethercat" or load_topology(settings).interface != VIRTUAL:
        return None
    return VirtualHardware(config, plant, seed, find_namespaces())
