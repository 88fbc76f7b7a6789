"""Learning of the tension: a repeating error goes, noise stays what it is, a dangerous gain is refused."""

from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from controller.planning.learning import (
    Answers,
    contraction,
    learning_bin_s,
    learning_filter,
    table_answers,
    tension_answers,
)
from controller.planning.timeline import PlanRefused
from controller.settings.loader import load_machine, load_recipe
from controller.settings.machine import LearningSettings, StationSettings
from controller.shared.learned import LEARNED_BINS, Learner
from controller.shared.plan import PLAN_DTYPE, SectionId
from controller.shared.status import SequenceState
from controller.station.learning import learn, learned_force
from controller.station.state import STATION_STATE_DTYPE

CONFIG = Path(__file__).resolve().parents[2] / "config"
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml")
STATION = load_machine(CONFIG / "machine.yaml").stations[0]
WEB = STATION.web
PERIOD_S, SECTION_S = 1e-3, 0.255
CYCLES = 255
FORCE_MAX_N = 0.9
TENSION = int(Learner.TENSION)


def _with(place: str, **values: float) -> StationSettings:
    part = getattr(STATION, place)
    learning = part.learning.model_copy(update=values)
    return STATION.model_copy(update={place: part.model_copy(update={"learning": learning})})


def _answers(station: StationSettings = STATION, learner: Learner = Learner.TENSION) -> Answers:
    of = (tension_answers, table_answers)[learner]
    return of(station, RECIPE, PERIOD_S, PERIOD_S)


def _records() -> tuple[np.void, np.void]:
    plan, station = np.zeros(1, PLAN_DTYPE)[0], np.zeros(1, STATION_STATE_DTYPE)[0]
    plan["web"]["tension_n"] = RECIPE.tension_n
    plan["sheets"] = 2  # one lies there: half a stack
    plan["sections"]["length_s"] = SECTION_S
    plan["learning"]["bin_s"] = PERIOD_S
    plan["learning"]["filter"][Learner.TENSION] = learning_filter(_answers(), PERIOD_S)
    plan["learning"]["error_max"] = (0.5 * RECIPE.tension_n, 1e-4)
    plan["learning"]["forgetting"] = WEB.learning.forgetting
    plan["learning"]["force_max_n"] = FORCE_MAX_N
    station["status"]["sequence"], station["status"]["sheet"] = SequenceState.SECTION, 1
    station["master"]["speed"] = 1.0
    return plan, station


class _Span:
    """The web by its differential equation, stepped exactly from force to measured tension."""

    def __init__(self, stiffness_share: float) -> None:
        stiffness = stiffness_share * RECIPE.web_stiffness_n / WEB.free_span_m
        dancer = WEB.dancer
        poles = np.polymul(
            [dancer.mass_kg, dancer.damping_n_s_m, dancer.stiffness_n_m + 4.0 * stiffness],
            [WEB.load_cell_lag_s, 1.0],
        )
        system = signal.tf2ss([2.0 * stiffness], poles)
        self.a, b, c, d, _ = signal.cont2discrete(system, PERIOD_S, "foh")
        self.b, self.c, self.d = b.ravel(), c.ravel(), d.item()
        self.x, self.measured_n = np.zeros(len(self.a)), np.zeros(1)


@njit(cache=True, nogil=True, error_model="numpy")
def _run_section(plan, station, a, b, c, d, x, measured_n, disturbance, errors):
    """A section's cycles: the controller learns and acts, the web answers; x and measured_n go on."""
    for cycle in range(errors.size):
        station.master.position = cycle * PERIOD_S
        errors[cycle] = measured_n[0] + disturbance[cycle]
        learn(station, plan, errors[cycle], 0.0)
        force_n = learned_force(station, plan, TENSION)
        measured_n[0] = (c * x).sum() + d * force_n
        x[:] = (a * x).sum(axis=1) + b * force_n


def _fold(
    plan: np.void, station: np.void, span: _Span, disturbance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Both half folds once; the errors that remain, N."""
    errors = np.zeros((2, CYCLES))
    for section in SectionId:
        station["status"]["section"] = section
        web = (span.a, span.b, span.c, span.d, span.x, span.measured_n)
        _run_section(plan, station, *web, disturbance[section], errors[section])
    return errors


def _repeating() -> NDArray[np.float64]:
    """What a table's mode, 10 % beside the belief, and a sticking dancer leave: N a cycle."""
    t = np.arange(CYCLES) * PERIOD_S
    swing = 0.2 * np.sin(2.0 * np.pi * 47.0 * t) * np.sin(np.pi * t / SECTION_S)
    slow = 0.1 * np.sin(2.0 * np.pi * t / SECTION_S)
    return np.array([swing + slow, slow - swing])


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("stiffness_share", [0.55, 1.0, 1.67])
def test_a_repeating_error_goes_whatever_the_web_is(stiffness_share: float) -> None:
    plan, station = _records()
    span = _Span(stiffness_share)
    before = _rms(_fold(plan, station, span, _repeating()))
    for _ in range(50):
        after = _rms(_fold(plan, station, span, _repeating()))
    assert after < 0.2 * before
    assert int(station["learned"]["folds"].min()) > 40


def test_noise_is_not_amplified() -> None:
    plan, station = _records()
    span, random = _Span(1.0), np.random.default_rng(1)
    drawn, left = [], []
    for _ in range(100):
        noise = random.normal(0.0, 0.03, (2, CYCLES))
        drawn.append(_rms(noise))
        left.append(_rms(_fold(plan, station, span, noise)))
    assert np.mean(left) < 1.08 * np.mean(drawn)


def test_the_wrong_sign_would_grow_the_error_and_cannot_be_set() -> None:
    plan, station = _records()
    plan["learning"]["filter"] = -plan["learning"]["filter"]
    span = _Span(1.0)
    before = _rms(_fold(plan, station, span, _repeating()))
    for _ in range(10):
        after = _rms(_fold(plan, station, span, _repeating()))
    assert after > 1.5 * before
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        LearningSettings.model_validate({**WEB.learning.model_dump(), "gain": -0.2})


@pytest.mark.parametrize("values", [{"gain": 0.5}, {"bandwidth_hz": 150.0}])
def test_learning_that_might_diverge_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(PlanRefused, match=r"web\.learning: gain = .*lower them"):
        learning_filter(_answers(_with("web", **values)), PERIOD_S)


@pytest.mark.parametrize("name", ["machine", *(f"classes/machine_{name}" for name in "acd")])
def test_every_class_contracts(name: str) -> None:
    station = load_machine(CONFIG / f"{name}.yaml").stations[0]
    for learner in Learner:
        answers = _answers(station, learner)
        assert contraction(answers, learning_filter(answers, PERIOD_S), PERIOD_S) < 1.0


def test_a_fold_that_was_slowed_or_disturbed_teaches_nothing() -> None:
    plan, station = _records()
    for speed, size in ((0.5, 0.2), (1.0, 10.0)):
        station["master"]["speed"] = speed
        _fold(plan, station, _Span(1.0), size * np.sign(_repeating()))
        assert not station["learned"]["force_n"].any()


def test_what_is_learned_is_bounded_and_follows_the_speed() -> None:
    plan, station = _records()
    for _ in range(60):
        _fold(plan, station, _Span(1.0), np.full((2, CYCLES), 1.2))
    assert np.abs(station["learned"]["force_n"]).max() == pytest.approx(FORCE_MAX_N)
    station["master"]["position"] = 0.1
    full = learned_force(station, plan, Learner.TENSION)
    station["master"]["speed"] = 0.5
    assert learned_force(station, plan, Learner.TENSION) == pytest.approx(0.25 * full)
    station["status"]["sequence"] = SequenceState.ROUTINE
    assert learned_force(station, plan, Learner.TENSION) == 0.0


def test_a_long_section_has_wider_bins() -> None:
    assert learning_bin_s(SECTION_S, PERIOD_S) == PERIOD_S
    wide = learning_bin_s(1.2, PERIOD_S)
    assert 1.2 / wide < LEARNED_BINS
    assert wide / PERIOD_S == pytest.approx(round(wide / PERIOD_S))
