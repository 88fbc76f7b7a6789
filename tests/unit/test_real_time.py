"""The real-time set-up: what the system grants is read back, what it refuses is said plainly."""

import os
import threading

import pytest

from controller.runtime import real_time
from controller.runtime.loop import LoopCode
from controller.runtime.real_time import Grant, RealTimeHost, RealTimeReport
from controller.shared.view import SharedView
from tests.machines import PERIOD_NS, failing, raising, small_machine


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that grants an ordinary user nothing."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "sched_setaffinity", refuse)


@pytest.mark.usefixtures("refusing")
def test_a_refusal_names_what_to_grant() -> None:
    grant = real_time.schedule(80)
    assert not grant.granted
    assert str(grant) == (
        "SCHED_FIFO 80: refused (Operation not permitted); grant rtprio or CAP_SYS_NICE"
    )


@pytest.mark.usefixtures("refusing")
def test_a_processor_that_is_not_there_is_refused_with_those_that_are() -> None:
    grant = real_time.pin(1000)
    assert not grant.granted
    assert "choose one of 0 to" in grant.text


def test_what_was_set_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)  # says yes and does nothing
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    grant = real_time.schedule(80)
    assert not grant.granted
    assert "not so" in grant.text


def test_a_thread_is_pinned_and_so_it_says() -> None:
    cpu = min(os.sched_getaffinity(0))
    seen: list[Grant] = []
    thread = threading.Thread(target=lambda: seen.append(real_time.pin(cpu)))
    thread.start()
    thread.join()
    assert seen[0].granted


@pytest.mark.parametrize(
    ("granted", "tier"),
    [((True, True), "real time"), ((True, False), "partly real time"), ((False,), "best effort")],
)
def test_the_tier_sums_the_grants_up(granted: tuple[bool, ...], tier: str) -> None:
    report = RealTimeReport(tuple(Grant("x", each, "y") for each in granted))
    assert report.tier == tier
    assert report.lines()[0] == f"tier: {tier}"


def test_the_host_runs_the_loop_beside_python_until_it_is_shut_down() -> None:
    machine = small_machine()
    host = RealTimeHost(machine, cpu=min(os.sched_getaffinity(0)), priority=0, lock_memory=False)
    report = host.start()
    assert {grant.what for grant in report.grants} >= {"timer slack 1 ns"}
    view = SharedView(machine.memory)
    shown = None
    while shown is None or shown["cycle"] < 20:
        shown = view.read_machine()
    assert host.code is None
    machine.loop[0]["shut_down_asked"] = 1
    while not host.join(0.05):
        pass
    assert host.code == LoopCode.SHUT_DOWN
    assert machine.image[0]["inputs"]["time_ns"] % PERIOD_NS == 0


def test_the_host_says_why_a_loop_ended_by_itself() -> None:
    cpu = min(os.sched_getaffinity(0))
    for exchange, reason in ((failing, "exchange_failed"), (raising, "out of range")):
        host = RealTimeHost(small_machine(exchange=exchange), cpu, priority=0, lock_memory=False)
        host.start()
        while not host.join(0.05):
            pass
        assert reason in host.reason
