"""Setpoints of a station in microseconds a cycle, and the optimised table move beside shaped S-curves.

`python -m bench.motion`.
"""

from controller.runtime import compile_gate


def main() -> None:
    """Measure and print."""
    compile_gate.enter()
    from bench.motion_parts import AXES, comparison, setpoints_12_axes_us

    print(f"setpoints of {AXES} axes: {setpoints_12_axes_us():.3f} us a cycle")
    print(comparison())


if __name__ == "__main__":
    main()
