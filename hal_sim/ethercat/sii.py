"""A slave's EEPROM contents (ETG.1000.6, slave information interface), built from its device file."""

import struct

from drivers.devices.description import DeviceDescription, Identity, Pdo

SII_BYTES = 1024
OUTPUT_ADDRESS = 0x1400
INPUT_ADDRESS = 0x1600
_STRINGS, _GENERAL, _FMMU, _SYNC_MANAGER, _TX_PDO, _RX_PDO = 10, 30, 40, 41, 50, 51
_COE = 0x0004
_COE_SDO, _COE_PDO_ASSIGN = 0x01, 0x04


def sync_managers(model: DeviceDescription) -> list[tuple[int, int, int, int]]:
    """Return (start, bytes, control, type) of each sync manager; type 1 to 4 as object 0x1C00 has it."""
    rows: list[tuple[int, int, int, int]] = []
    if box := model.mailbox:
        rows.append((box.write_address, box.write_bytes, 0x26, 1))
        rows.append((box.read_address, box.read_bytes, 0x22, 2))
    if model.outputs or model.mailbox:
        rows.append((OUTPUT_ADDRESS, model.output_bytes, 0x64, 3))
    rows.append((INPUT_ADDRESS, model.input_bytes, 0x20, 4))
    return rows


def sii_bytes(model: DeviceDescription, identity: Identity) -> bytes:
    """Return the EEPROM image: identity, mailboxes and the categories a master reads."""
    head = bytearray(0x80)
    struct.pack_into("<H", head, 0x00, 0x0080)
    head[14] = _checksum(bytes(head[:14]))
    struct.pack_into(
        "<4I", head, 0x10, identity.vendor_id, identity.product_code, identity.revision, 1
    )
    if box := model.mailbox:
        layout = (box.write_address, box.write_bytes, box.read_address, box.read_bytes, _COE)
        struct.pack_into("<5H", head, 0x30, *layout)
    struct.pack_into("<2H", head, 0x7C, SII_BYTES // 128 - 1, 1)
    names = [model.name.encode(), model.kind.value.encode()]
    body = _category(_STRINGS, _string_table(names))
    body += _category(_GENERAL, _general(model))
    body += _category(_FMMU, bytes([1, 2]) if model.mailbox is None else bytes([1, 2, 3, 0]))
    body += _category(_SYNC_MANAGER, b"".join(_sync_manager(*row) for row in sync_managers(model)))
    base = 2 if model.mailbox else 0
    body += _category(_TX_PDO, _pdos(model, model.inputs, base + 1 if model.outputs or base else 0))
    body += _category(_RX_PDO, _pdos(model, model.outputs, base))
    content = bytes(head) + body + b"\xff\xff"
    if len(content) > SII_BYTES:
        raise ValueError(f"{model.name}: {len(content)} bytes of SII: more than {SII_BYTES}")
    return content.ljust(SII_BYTES, b"\xff")


def _checksum(data: bytes) -> int:
    """CRC-8, polynomial x^8 + x^2 + x + 1, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def _category(kind: int, data: bytes) -> bytes:
    if not data:
        return b""
    data += b"\x00" * (len(data) % 2)
    return struct.pack("<HH", kind, len(data) // 2) + data


def _string_table(names: list[bytes]) -> bytes:
    return bytes([len(names)]) + b"".join(bytes([len(name)]) + name for name in names)


def _general(model: DeviceDescription) -> bytes:
    data = bytearray(32)
    data[0], data[2], data[3] = 2, 1, 1
    if model.mailbox:
        data[5] = _COE_SDO | (_COE_PDO_ASSIGN if model.pdo_assignable else 0)
    struct.pack_into("<H", data, 16, 0x0011)
    return bytes(data)


def _sync_manager(start: int, size: int, control: int, kind: int) -> bytes:
    return struct.pack("<HHBBBB", start, size, control, 0, 1 if size else 0, kind)


def _pdos(model: DeviceDescription, pdos: tuple[Pdo, ...], sync_manager: int) -> bytes:
    data = b""
    for pdo in pdos:
        data += struct.pack("<HBBBBH", pdo.index, len(pdo.entries), sync_manager, 0, 0, 0)
        for index, subindex in pdo.entries:
            kind = model.object(index, subindex).type
            data += struct.pack("<HBBBBH", index, subindex, 0, kind.code, kind.bits, 0)
    return data
