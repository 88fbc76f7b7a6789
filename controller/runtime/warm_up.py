"""Compile all that the core needs, naming each function on standard output: the gate's subprocess."""

import sys

from controller.runtime.compile_gate import COMPILING, enter


def main() -> None:
    """Compile into this build's cache folder."""
    enter()
    from controller.runtime.dispatchers import compilations

    with compilations(_tell):
        compile_all()


def _tell(name: str) -> None:
    sys.stdout.write(f"{COMPILING}{name}\n")
    sys.stdout.flush()


def compile_all() -> None:
    """Bring every function of the core to its cache: importing compiles, scan is asked to."""
    import hal_sim.exchange
    from controller.runtime.loop import SCAN_SIGNATURE
    from controller.station.scan import scan

    assert hal_sim.exchange.exchange.signatures
    scan.compile(SCAN_SIGNATURE)


if __name__ == "__main__":
    main()
