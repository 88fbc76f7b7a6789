"""Which software made a cell: a hash over the sources of the running installation."""

import hashlib
from pathlib import Path

PACKAGES = ("controller", "drivers", "motion")
ROOT = Path(__file__).resolve().parents[2]


def software_hash() -> str:
    """Return the SHA-256 over every source file, by name and content, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
