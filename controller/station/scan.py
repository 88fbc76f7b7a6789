"""One scan of the PLC program: a pure function of inputs, command and state."""

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def scan(inputs, command, state, outputs, plans):
    """Run one cycle: read `inputs` and `command`, advance `state`, write `outputs`.

    inputs: INPUTS_DTYPE record; command: COMMAND_DTYPE record, sequence 0 when there is none;
    state: STATE_DTYPE record; outputs: OUTPUTS_DTYPE record; plans: PLAN_DTYPE array, slots
    2 i and 2 i + 1 belong to station i.
    """
    state.outbox.count = 0
    state.machine.time_ns = inputs.time_ns
    state.machine.cycle = inputs.cycle
