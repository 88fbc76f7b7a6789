"""The cyclic exchange on the wire beside pysoem's from Python: round trip, lost and late frames.

`python -m bench.ethercat [--drives 8 32] [--cycles 4000] [--same-priority] [--json]`. Both drive the same
virtual segment over a veth pair, in alternating slices of one run, quiet and with a busy Python thread in the
master's process. The segment is a process of its own on a processor of its own, as slaves are; both masters
run on the other one, each as it is used: ours under SCHED_FIFO as in the core, pysoem in a Python thread
(`--same-priority` gives it ours). Without the right to make a network namespace only the compiled cost is
measured.
"""

import argparse
import json
import os
import sys
from contextlib import nullcontext
from typing import Any

from controller.runtime import compile_gate
from drivers.ethercat.namespace import Tier, find_tier


def _print(result: dict[str, Any]) -> None:
    print(f"{result['drives']} drives, {result['tier']}: frame cost {result['frame_cost_us']} us")
    for load in ("quiet", "busy"):
        for name, row in result.get(load, {}).items():
            print(
                f"  {load:5} {name:6} " + "  ".join(f"{key} {value}" for key, value in row.items())
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.ethercat", description=__doc__)
    parser.add_argument("--drives", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--cycles", type=int, default=4000)
    parser.add_argument("--same-priority", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    compile_gate.enter()
    from bench.ethercat_slices import PRIORITY, cost_line, measure
    from hal_sim.ethercat.virtual_wire import own_namespace

    tier = find_tier()
    if tier is Tier.USER_NAMESPACE and os.geteuid() != 0:
        command = ["unshare", "--user", "--map-root-user", "--net", sys.executable]
        os.execvp(command[0], [*command, "-m", "bench.ethercat", *sys.argv[1:]])
    priorities = {"ours": PRIORITY, "pysoem": PRIORITY if options.same_priority else 0}
    with nullcontext() if tier is Tier.SOCKETLESS else own_namespace():
        results = [measure(n, options.cycles, tier, priorities) for n in options.drives]
    line = cost_line()
    for result in results:
        if options.json:
            print(json.dumps(result | {"line": line}))
        else:
            _print(result)
    if not options.json:
        print("  cost over bytes " + "  ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
