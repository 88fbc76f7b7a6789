"""Microseconds a solve beside Ruckig's, and whether both take the same time.

`python -m bench.trajectory [--json]`. Ours is a compiled loop over random problems, Ruckig's the
bare `calculate` call from Python on inputs prepared beforehand; each is the best of several runs.
"""

import json
from typing import Any

from bench import report
from controller.runtime import compile_gate


def _show(result: dict[str, Any]) -> None:
    print("class            ours us  Ruckig us  problems  failures  largest duration error")
    for name, row in result["classes"].items():
        print(
            f"{name:16s} {row['ours_us']:7.3f} {row['ruckig_us']:10.3f} {row['problems']:9d}"
            f" {row['failures']:9d}  {row['duration_error_max_s']:.1e} s"
        )
        print(
            f"{'':16s} Ruckig failed {row['ruckig_failures']} ({row['ruckig_silent']} in natural"
            f" units too), was slower {row['ruckig_slower']},"
            f" missed its target or limits {row['ruckig_inexact']}"
        )
    print(f"setpoints of 12 axes: {result['setpoints_12_axes_us']:.3f} us a cycle")
    move = result["optimised_move"]
    print(
        f"optimised move: {move['duration_s'] * 1e3:.1f} ms, {move['residual_max_um']:.1f} um;"
        f" with the web's bound {move['with_web_duration_s'] * 1e3:.1f} ms,"
        f" {move['with_web_residual_max_um']:.1f} um"
    )


def main() -> None:
    """Measure and print."""
    options = report.parser(__doc__ or "").parse_args()
    compile_gate.enter()
    from bench.trajectory_measures import measure

    figures = measure()
    if options.json:
        print(json.dumps(figures))
    else:
        _show(figures)


if __name__ == "__main__":
    main()
