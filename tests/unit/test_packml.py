"""The PackML table against what ISA-TR88.00.02 says of it."""

import pytest

from controller.shared.commands import CommandCode
from controller.shared.packml import (
    ACTING,
    MODE_CHANGE_STATES,
    TRANSITIONS,
    Command,
    State,
    next_state,
)

S, C = State, Command
WAITING = {S.STOPPED, S.IDLE, S.SUSPENDED, S.ABORTED, S.HELD, S.COMPLETE}

# The standard's base state model, written down a second time: where each command is accepted.
ACCEPTED_IN = {
    C.RESET: {S.STOPPED, S.COMPLETE},
    C.START: {S.IDLE},
    C.UNHOLD: {S.HELD},
    C.UNSUSPEND: {S.SUSPENDED},
    C.CLEAR: {S.ABORTED},
    C.COMPLETE: {S.EXECUTE},
    C.STOP: set(S) - {S.STOPPING, S.STOPPED, S.ABORTING, S.ABORTED, S.CLEARING},
    C.ABORT: set(S) - {S.ABORTING, S.ABORTED},
    C.HOLD: {S.STARTING, S.EXECUTE, S.UNHOLDING, S.SUSPENDING, S.SUSPENDED, S.UNSUSPENDING},
    C.SUSPEND: {S.STARTING, S.EXECUTE, S.UNHOLDING, S.UNSUSPENDING},
    C.STATE_COMPLETE: set(ACTING),
}
LEADS_TO = {
    C.RESET: S.RESETTING,
    C.START: S.STARTING,
    C.UNHOLD: S.UNHOLDING,
    C.UNSUSPEND: S.UNSUSPENDING,
    C.CLEAR: S.CLEARING,
    C.COMPLETE: S.COMPLETING,
    C.STOP: S.STOPPING,
    C.ABORT: S.ABORTING,
    C.HOLD: S.HOLDING,
    C.SUSPEND: S.SUSPENDING,
}
COMPLETES_TO = {
    S.CLEARING: S.STOPPED,
    S.STARTING: S.EXECUTE,
    S.EXECUTE: S.COMPLETING,
    S.STOPPING: S.STOPPED,
    S.ABORTING: S.ABORTED,
    S.HOLDING: S.HELD,
    S.UNHOLDING: S.EXECUTE,
    S.SUSPENDING: S.SUSPENDED,
    S.UNSUSPENDING: S.EXECUTE,
    S.RESETTING: S.IDLE,
    S.COMPLETING: S.COMPLETE,
}


def test_there_are_the_17_states_by_their_own_numbers() -> None:
    assert [state.value for state in State] == list(range(1, 18))
    assert State.EXECUTE == 6
    assert State.COMPLETE == 17


@pytest.mark.parametrize("command", Command)
@pytest.mark.parametrize("state", State)
def test_every_state_answers_every_command_as_the_standard_says(
    state: State, command: Command
) -> None:
    expected = None
    if state in ACCEPTED_IN[command]:
        expected = COMPLETES_TO[state] if command == C.STATE_COMPLETE else LEADS_TO[command]
    assert next_state(state, command) == expected


def test_a_state_either_acts_or_waits_for_a_command() -> None:
    assert set(State) - WAITING == ACTING
    assert {state for state, command in TRANSITIONS if command == C.STATE_COMPLETE} == ACTING


def test_every_state_is_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)


def test_the_mode_changes_only_in_states_that_wait() -> None:
    assert MODE_CHANGE_STATES <= WAITING
    assert not MODE_CHANGE_STATES & {S.HELD, S.SUSPENDED}


def test_a_shift_from_power_on_to_a_finished_order() -> None:
    state = S.ABORTED
    for command in (
        C.CLEAR, C.STATE_COMPLETE, C.RESET, C.STATE_COMPLETE, C.START, C.STATE_COMPLETE,
        C.HOLD, C.STATE_COMPLETE, C.UNHOLD, C.STATE_COMPLETE, C.COMPLETE, C.STATE_COMPLETE,
    ):  # fmt: skip
        reached = next_state(state, command)
        assert reached is not None, (state, command)
        state = reached
    assert state == S.COMPLETE


def test_commands_to_the_core_carry_packmls_numbers() -> None:
    for command in set(Command) - {C.STATE_COMPLETE}:
        assert CommandCode[command.name] == command.value
