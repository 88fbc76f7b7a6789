"""An engineer's settings files: what is read, and what is said when they are wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.settings.axes import AxisSettings, AxisValues
from controller.settings.document import SIZE_MAX_BYTES, SettingsError, read_document
from controller.settings.loader import load_machine, load_recipe
from controller.settings.problems import PROBLEMS_SHOWN_MAX, one_screen
from controller.settings.together import problems_together
from controller.shared.plan import AXIS_PARAMETERS_DTYPE
from drivers.image import ROTARY_KINDS, AxisKind

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = (CONFIG / "machine.yaml").read_text()
TABLE_VELOCITY = "        velocity_max_m_s: 2.0\n"
TABLE_KEY = "stations[0].axes.table_x"

Broken = Callable[..., list[str]]


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    """Loads the machine file with one text replaced; returns the problems without the path."""

    def load(old: str, new: str, more: str = "") -> list[str]:
        assert old in MACHINE
        return problems_of_text(tmp_path, MACHINE.replace(old, new, 1) + more)

    return load


def problems_of_text(folder: Path, text: str) -> list[str]:
    path = folder / "machine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_machine(path)
    assert all(line.startswith(f"{path}:") for line in refused.value.problems)
    return [line.removeprefix(f"{path}:") for line in refused.value.problems]


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("machine*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_machine_is_valid_and_makes_the_reference_cell(path: Path) -> None:
    machine = load_machine(path)
    recipe = load_recipe(CONFIG / "recipes/reference.yaml")
    assert problems_together(machine, recipe) == []


@pytest.mark.parametrize("path", sorted(CONFIG.glob("recipes/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_is_valid_on_the_reference_machine(path: Path) -> None:
    assert problems_together(load_machine(CONFIG / "machine.yaml"), load_recipe(path)) == []


def test_the_reference_cell_has_107_sheets_folded_every_107_mm() -> None:
    recipe = load_recipe(CONFIG / "recipes/reference.yaml")
    assert recipe.sheets == 107
    assert recipe.fold_pitch_m == pytest.approx(0.107)
    assert recipe.web_width_m == pytest.approx(0.307)
    assert recipe.web_stiffness_n == pytest.approx(3316, abs=1)


def test_classes_differ_from_the_reference_only_where_they_say_so() -> None:
    reference = load_machine(CONFIG / "machine.yaml").stations[0]
    light = load_machine(CONFIG / "classes/machine_d.yaml").stations[0]
    assert light.axes.table_x.acceleration_max_m_s2 == 50.0
    assert light.table.stroke_m == 0.14
    assert light.axes.table_x.friction_n == reference.axes.table_x.friction_n
    assert light.axes.edge == reference.axes.edge


def test_axis_values_carry_the_names_of_the_plan() -> None:
    numbers = [
        name
        for name in AXIS_PARAMETERS_DTYPE.names or ()
        if AXIS_PARAMETERS_DTYPE[name].kind == "f"
    ]
    assert list(AxisValues._fields[: len(numbers)]) == numbers


@pytest.mark.parametrize("kind", AxisKind)
def test_each_kind_of_axis_reads_its_own_units(kind: AxisKind) -> None:
    axis = load_machine(CONFIG / "machine.yaml").stations[0].axes.of_kind(kind)
    assert isinstance(axis, AxisSettings) is (kind not in ROTARY_KINDS)
    assert axis.values.velocity_max_m_s in dict(axis).values()
    assert axis.values.position_min_m <= axis.values.home_position_m <= axis.values.position_max_m


def test_a_missing_key_is_named(broken: Broken) -> None:
    assert broken(TABLE_VELOCITY, "") == [f"31: {TABLE_KEY}.velocity_max_m_s: missing; add it"]


def test_a_wrong_unit_is_answered_with_the_right_one(broken: Broken) -> None:
    assert broken(TABLE_VELOCITY, "        velocity_max_mm_s: 2000\n") == [
        f"34: {TABLE_KEY}.velocity_max_mm_s: unknown key; did you mean velocity_max_m_s?"
    ]


def test_a_velocity_above_the_motors_is_refused_with_the_rating(broken: Broken) -> None:
    assert broken(TABLE_VELOCITY, "        velocity_max_m_s: 12\n") == [
        f"34: {TABLE_KEY}.velocity_max_m_s = 12: above the drive's 3.2 (motor rating); lower it"
    ]


def test_a_force_that_cannot_move_its_load_is_refused(broken: Broken) -> None:
    (problem,) = broken("force_peak_n: 900.0", "force_peak_n: 380.0")
    assert "force_peak_n = 380.0: below the 390 that mass_kg x acceleration_max_m_s2" in problem


def test_an_unknown_key_is_an_error(broken: Broken) -> None:
    assert broken("master:", "colour: blue\nmaster:") == ["15: colour: unknown key; remove it"]


@pytest.mark.parametrize("text", ["fast", "'2.0'", "2,0", "[2.0]", "true", ".nan", ".inf"])
def test_anything_but_a_finite_number_is_refused_for_a_number(broken: Broken, text: str) -> None:
    (problem,) = broken(TABLE_VELOCITY, f"        velocity_max_m_s: {text}\n")
    assert f"{TABLE_KEY}.velocity_max_m_s" in problem
    assert "expected a" in problem


@pytest.mark.parametrize("value", ["249", "4001", "1000.5"])
def test_the_period_is_bounded_and_whole(broken: Broken, value: str) -> None:
    (problem,) = broken("period_us: 1000", f"period_us: {value}")
    assert problem.startswith(f"6: period_us = {value}: ")


def test_a_number_may_be_written_with_an_exponent_alone(tmp_path: Path) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text(MACHINE.replace("in_position_m: 0.00002", "in_position_m: 2e-5", 1))
    assert load_machine(path).stations[0].axes.table_x.in_position_m == 2e-5


def test_all_errors_are_told_at_once_in_the_files_order(broken: Broken) -> None:
    problems = broken(TABLE_VELOCITY, "        velocity_max_m_s: fast\n", "hue: 1\nperiode_us: 1\n")
    assert [problem.split(":")[1].split(" = ")[0].strip() for problem in problems] == [
        f"{TABLE_KEY}.velocity_max_m_s", "hue", "periode_us",
    ]  # fmt: skip


def test_many_errors_stay_on_one_screen() -> None:
    lines = one_screen([f"problem {i}" for i in range(500)]).splitlines()
    assert len(lines) == PROBLEMS_SHOWN_MAX + 1
    assert lines[-1] == f"... and {500 - PROBLEMS_SHOWN_MAX} more"


def test_a_further_station_takes_what_it_does_not_say_from_the_first(tmp_path: Path) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text(MACHINE + "  - name: station 2\n    arm: {transfer_m: 0.2}\n")
    first, second = load_machine(path).stations
    assert second.arm.transfer_m == 0.2
    assert second.arm.stroke_m == first.arm.stroke_m
    assert second.axes == first.axes


def test_an_error_in_the_first_station_is_told_once_for_all(broken: Broken) -> None:
    problems = broken(TABLE_VELOCITY, "", "".join(f"  - name: s{i}\n" for i in range(2, 9)))
    assert problems == [f"31: {TABLE_KEY}.velocity_max_m_s: missing; add it"]


def test_nine_stations_are_too_many(broken: Broken) -> None:
    (problem,) = broken("", "", "".join(f"  - name: s{i}\n" for i in range(2, 10)))
    assert "stations: expected at most 8 entries" in problem


def test_two_stations_need_two_names(broken: Broken) -> None:
    (problem,) = broken("", "", "  - name: station 1\n")
    assert "stations: two stations share a name" in problem


def test_a_value_of_the_extended_file_is_named_there(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(MACHINE.replace("period_us: 1000", "period_us: 9"))
    above = tmp_path / "above.yaml"
    above.write_text("extends: base.yaml\nname: above\nhal: pigeon\n")
    with pytest.raises(SettingsError) as refused:
        load_machine(above)
    above_problem, base_problem = refused.value.problems
    assert above_problem.startswith(f"{above}:3: hal = 'pigeon': expected 'simulator' or")
    assert base_problem.startswith(f"{tmp_path / 'base.yaml'}:6: period_us = 9: below 250")


def test_an_empty_list_replaces_the_extended_files(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(MACHINE)
    above = tmp_path / "above.yaml"
    above.write_text("extends: base.yaml\nstations: []\n")
    with pytest.raises(SettingsError, match=r"above\.yaml:2: stations: expected 1 entries or more"):
        load_machine(above)


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SettingsError, match="at most 4 deep"):
        load_machine(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty: expected a mapping"),
        ("# nothing but a comment\n", "empty: expected a mapping"),
        ("- 1\n- 2\n", "a list: expected a mapping"),
        ("just words\n", "a str: expected a mapping"),
        ("a: 1\na: 2\n", "2: key 'a' twice"),
        ("a:\n\t- 1\n", "2: found character"),
        ("a: [1, 2\n", "expected ',' or ']'"),
        ("[1, 2]: 3\n", "a key that is no text"),
        ("a: !!python/object/apply:os.system [ls]\n", "tag tag:yaml.org,2002:python"),
        ("a: !!python/name:os.system x\n", "could not determine a constructor"),
        ("a: &a [*a]\n", "levels"),
        ("[" * 5000, "nested too deeply"),
        ("a: \0\n", "unacceptable character"),
        ("x" * (SIZE_MAX_BYTES + 1), "larger than 256 kB"),
        ("x" * 10_000_000, "larger than 256 kB"),
    ],
)
def test_what_is_no_settings_file_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (problem,) = problems_of_text(tmp_path, text)
    assert said in problem
    assert len(problem) < 200


def test_aliases_cannot_multiply_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (problem,) = problems_of_text(tmp_path, "\n".join(lines))
    assert "more than 20000 values" in problem


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_document(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 3"):
        read_document(tmp_path / "binary.yaml")
    with pytest.raises(SettingsError, match="directory"):
        read_document(tmp_path)


def test_a_tension_outside_its_own_reject_limits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    text = (CONFIG / "recipes/reference.yaml").read_text()
    path.write_text(text.replace("tension_n: 3.0", "tension_n: 7.0", 1))
    with pytest.raises(SettingsError, match="tension_n = 7 is outside"):
        load_recipe(path)


def test_a_guard_that_would_reject_every_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    text = (CONFIG / "recipes/reference.yaml").read_text()
    path.write_text(text.replace("overhang_guard_m: 0.00012", "overhang_guard_m: 0.0006", 1))
    with pytest.raises(SettingsError, match=r"overhang_guard_m = 0\.0016: not below the anode's"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("layer_thickness_m: 0.00025", "layer_thickness_m: 0.0006", "the stack of 0.0642 m"),
        ("length_x_m: 0.1", "length_x_m: 0.2", "fold pitch = 0.207 m: above the 0.2 m"),
        ("wraps_final: 1", "wraps_final: 2", "winds 0.428 m, above the 0.28 m"),
        ("tension_n: 3.0", "tension_n: 5.9", ""),  # all is well
    ],
)
def test_a_recipe_is_held_against_the_machine(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text((CONFIG / "recipes/reference.yaml").read_text().replace(old, new, 1))
    problems = problems_together(load_machine(CONFIG / "machine.yaml"), load_recipe(path))
    assert bool(problems) == bool(said)
    assert any(said in problem for problem in problems) or not said
