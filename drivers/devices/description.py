"""What a device file says: identity, objects, process data, scaling, start-up writes and quirks, as data.

One description serves two readers: the driver that talks to the device and the simulator that stands in
for it. Nothing here acts.
"""

from dataclasses import dataclass, field
from enum import Enum


class ObjectType(Enum):
    """CANopen basic types: (data type code of ETG.1000.6, bits, struct format)."""

    BIT = (0x0001, 1, "?")
    U8 = (0x0005, 8, "B")
    I8 = (0x0002, 8, "b")
    U16 = (0x0006, 16, "H")
    I16 = (0x0003, 16, "h")
    U32 = (0x0007, 32, "I")
    I32 = (0x0004, 32, "i")
    F32 = (0x0008, 32, "f")

    @property
    def code(self) -> int:
        """The type's index in the CANopen dictionary."""
        return self.value[0]

    @property
    def bits(self) -> int:
        """How many bits it takes in a frame."""
        return self.value[1]

    @property
    def format(self) -> str:
        """Its `struct` character, little endian on the wire."""
        return self.value[2]


class Access(Enum):
    """Who may write an object, and in which states."""

    READ_ONLY = 0
    READ_WRITE = 1
    READ_WRITE_PREOP = 2  # configuration: refused outside PRE-OP


class DeviceKind(Enum):
    """What the controller uses a device for."""

    DRIVE = "drive"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Identity:
    """Vendor, product and revision as the slave's EEPROM gives them."""

    vendor_id: int
    product_code: int
    revision: int

    def __str__(self) -> str:
        return f"{self.vendor_id:#010x}:{self.product_code:#010x}:{self.revision:#010x}"


@dataclass(frozen=True, slots=True)
class DeviceObject:
    """One entry of the object dictionary; a PDO names it by index and subindex."""

    index: int
    subindex: int
    type: ObjectType
    name: str
    access: Access = Access.READ_ONLY
    default: int | float = 0


@dataclass(frozen=True, slots=True)
class Pdo:
    """A process data object: its index and the (index, subindex) of what it carries, in order."""

    index: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class StartupWrite:
    """An SDO download done in PRE-OP, in the order given."""

    index: int
    subindex: int
    type: ObjectType
    value: int | float


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Start addresses and sizes of the two mailbox buffers (sync managers 0 and 1)."""

    write_address: int = 0x1000
    write_bytes: int = 128
    read_address: int = 0x1080
    read_bytes: int = 128


@dataclass(frozen=True, slots=True)
class DriveScaling:
    """How a drive counts: per encoder increment, and per rated torque or force.

    The increments in a metre (or radian) and the rated force belong to the motor, so the topology gives them.
    """

    velocity_counts_per_increment_s: float = 1.0
    torque_counts_per_rated: float = 1000.0


@dataclass(frozen=True, slots=True)
class Quirks:
    """Departures from the usual that the driver has to know."""

    target_torque_in_cst: bool = True  # CST reads 0x6071; False: only 0x60B2 exists
    velocity_from_position: bool = False  # no 0x606C in the map: the driver differentiates
    setpoints_bridged: int = 1  # missing in a row: the drive goes on as before; then it stops


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """One EtherCAT model; `variants` hold the selectable (outputs, inputs) PDO sets, the first is used."""

    name: str
    title: str
    kind: DeviceKind
    identity: Identity
    objects: tuple[DeviceObject, ...]
    outputs: tuple[Pdo, ...]
    inputs: tuple[Pdo, ...]
    startup: tuple[StartupWrite, ...] = ()
    mailbox: Mailbox | None = Mailbox()
    pdo_assignable: bool = False
    distributed_clock: bool = True
    scaling: DriveScaling = DriveScaling()
    quirks: Quirks = Quirks()
    optional_pdos: tuple[Pdo, ...] = field(default=())

    def object(self, index: int, subindex: int) -> DeviceObject:
        """Return an entry of the object dictionary; KeyError names what is missing."""
        for entry in self.objects:
            if (entry.index, entry.subindex) == (index, subindex):
                return entry
        raise KeyError(f"{self.name}: no object {index:#06x}:{subindex}")

    def bits(self, pdos: tuple[Pdo, ...]) -> int:
        """Return the process data bits of a set of PDOs."""
        return sum(self.object(*entry).type.bits for pdo in pdos for entry in pdo.entries)

    @property
    def output_bytes(self) -> int:
        """Bytes the master sends to it in a cycle."""
        return (self.bits(self.outputs) + 7) // 8

    @property
    def input_bytes(self) -> int:
        """Bytes it answers in a cycle."""
        return (self.bits(self.inputs) + 7) // 8

    @property
    def working_counter(self) -> int:
        """Its share of an LRW's working counter: 1 for inputs, 2 for outputs."""
        return (1 if self.inputs else 0) + (2 if self.outputs else 0)

    def bit_offsets(self, pdos: tuple[Pdo, ...]) -> dict[tuple[int, int], int]:
        """Return where each entry of a set of PDOs starts, in bits."""
        offsets: dict[tuple[int, int], int] = {}
        position = 0
        for pdo in pdos:
            for entry in pdo.entries:
                offsets[entry] = position
                position += self.object(*entry).type.bits
        return offsets
