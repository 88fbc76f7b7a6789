"""The command line: thin, and quick to start; each command imports what it needs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

CONFIG = Path(__file__).resolve().parents[1] / "config"
EXIT_STUCK = 1
EXIT_BROKEN_SETTINGS = 2

app = typer.Typer(
    help="Foldline: a real-time soft-PLC for Z-fold cell stackers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _shipped(name: str) -> Path:
    """A shipped settings file, under the working directory where there is one."""
    here = Path("config") / name
    return here if here.exists() else CONFIG / name


def _file(option: str, what: str, name: str) -> Any:
    """An option for a settings file, the shipped one where it is left out."""
    return typer.Option(
        option,
        default_factory=lambda: _shipped(name),
        show_default=f"config/{name}",
        help=what,
    )


Config = Annotated[Path, _file("--config", "Machine file.", "machine.yaml")]
BusConfig = Annotated[Path, _file("--config", "Machine file.", "machine_ethercat.yaml")]
Plant = Annotated[Path, _file("--plant", "Plant file.", "plant.yaml")]
Recipe = Annotated[Path, _file("--recipe", "Recipe file.", "recipes/reference.yaml")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@app.command()
def check(config: Config, plant: Plant, recipe: Recipe) -> None:
    """Validate the settings files and print what was read, or every error."""
    from controller.display import print_axes, print_values

    settings = _load(config, recipe, plant)
    for title, part in settings.items():
        print_values(title, part.model_dump(exclude={"stations": {"__all__": {"axes"}}}))
    for station in settings["machine"].stations:
        print_axes(station)


@app.command()
def run(
    config: Config,
    recipe: Recipe,
    plant: Plant,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after this time.")] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="End after this many cells.")] = None,
    manual: Annotated[
        bool, typer.Option("--manual", help="Leave Reset and Start to the operator.")
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry", help="Cycle without material, in Maintenance mode.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated machine.")] = 1,
    as_json: Json = False,
) -> None:
    """Run the machine in real time until it is stopped."""
    _load(config, recipe, plant)
    from controller import supervisor

    status = supervisor.run(
        config,
        recipe,
        plant,
        seconds,
        cells,
        manual=manual,
        seed=seed,
        as_json=as_json,
        dry=dry,
    )
    raise typer.Exit(status)


@app.command("sim-bus")
def sim_bus(
    config: BusConfig,
    plant: Plant,
    interface: Annotated[str | None, typer.Option(help="An interface that exists.")] = None,
    veth: Annotated[
        tuple[str, str], typer.Option(metavar="MASTER SLAVES", help="Or make this pair first.")
    ] = ("fold0", "fold1"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated machine.")] = 1,
    follow: Annotated[
        bool, typer.Option("--follow", help="The machine's time follows the master's cycles.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Be the machine's hardware: EtherCAT slaves and Modbus devices, for this controller or any other."""
    from controller.display import show_result
    from controller.settings.document import SettingsError
    from controller.virtual_bus import serve

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    wire = (interface,) if interface else veth
    try:
        figures = serve(config, plant, seed, wire, say, follow=follow)
    except SettingsError as error:
        _refuse(error.problems)
    except (OSError, ValueError) as error:
        _refuse([str(error)])
    show_result("Judged", figures, as_json)


@app.command()
def sim(
    config: Config,
    plant: Plant,
    recipe: Recipe,
    cells: Annotated[int, typer.Option(min=1, max=1_000_000, help="Cells to make.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 1,
    faults: Annotated[
        str | None,
        typer.Option(help="What goes wrong: a scenario's name (foldline faults) or a file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make cells in virtual time and print the judge's summary."""
    settings = _load(config, recipe, plant)
    struck = _load_faults(faults) if faults else []
    _pass_gate(config, plant)
    from controller.display import progress_bar, show_result
    from controller.planning.timeline import PlanRefused
    from controller.settings.document import SettingsError
    from controller.simulate import SimulationStuck, simulate

    try:
        with progress_bar("cells") as progress:
            summary = simulate(**settings, cells=cells, seed=seed, faults=struck, progress=progress)
    except (PlanRefused, SettingsError) as refused:
        _refuse(getattr(refused, "problems", [f"{recipe}: {refused}"]))
    except SimulationStuck as stuck:
        print(f"simulation stuck: {stuck}", file=sys.stderr)
        raise typer.Exit(EXIT_STUCK) from None
    show_result("Simulation", summary, as_json)


@app.command()
def faults() -> None:
    """List the scenarios of `foldline sim --faults`."""
    from controller.settings.faults import load_scenarios

    for name, listed in load_scenarios(_shipped("faults.yaml")).items():
        print(f"{name}: {', '.join(fault.kind for fault in listed)}")


@app.command()
def plan(
    config: Config,
    recipe: Recipe,
    png: Annotated[Path | None, typer.Option(help="Draw the timing chart here.")] = None,
    as_json: Json = False,
) -> None:
    """Compute the cycle plan: its pace, the ideal bound and what the excess is made of."""
    settings = _load(config, recipe)
    from controller.runtime import compile_gate

    compile_gate.enter()
    from controller.planning.command import plan_command

    plan_command(settings["machine"], settings["recipe"], png=png, as_json=as_json)


@app.command()
def identify(
    config: Config,
    plant: Plant,
    recipe: Recipe,
    station: Annotated[int, typer.Option(min=1, max=8, help="Station.")] = 1,
    running: Annotated[
        bool, typer.Option("--running", help="On the machine that runs, not simulated.")
    ] = False,
    pid: Annotated[int | None, typer.Option(help="Its supervisor, where several run.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the mode: the next plan is made for it.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated machine.")] = 1,
    png: Annotated[Path | None, typer.Option(help="Draw response and fit here.")] = None,
    as_json: Json = False,
) -> None:
    """Let the empty table move, measure, and fit the mode it swings in."""
    settings = _load(config, recipe, plant)
    if station > len(settings["machine"].stations):
        _refuse([f"--station {station}: the machine has {len(settings['machine'].stations)}"])
    if running:
        from controller.runtime import compile_gate

        compile_gate.enter()
    else:
        _pass_gate(config, plant)
    from controller.planning.identify_command import identify_command

    status = identify_command(
        settings, station - 1, seed, running=running, pid=pid, keep=keep, png=png, as_json=as_json
    )
    raise typer.Exit(status)


# a value below zero is no option
@app.command(context_settings={"ignore_unknown_options": True})
def order(
    code: Annotated[str, typer.Argument(help="A command: reset, start, jog, step, set_mode ...")],
    value: Annotated[float, typer.Argument(help="Its value.")] = 0.0,
    station: Annotated[int, typer.Option(min=1, max=8, help="Station.")] = 1,
    axis: Annotated[str | None, typer.Option(help="Axis of a jog, by name.")] = None,
    index: Annotated[int, typer.Option(help="Index, where a command has one.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, max=60, help="Hold a jog key so long.")] = 0.5,
    pid: Annotated[int | None, typer.Option(help="The supervisor, where several run.")] = None,
) -> None:
    """Give the running machine a command and print its answer."""
    from controller.panel import order_command

    status = order_command(code, value, station - 1, axis, index, seconds, pid)
    raise typer.Exit(status)


_FORWARDED: Any = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}


@app.command(context_settings=_FORWARDED)
def bus(context: typer.Context) -> None:
    """Look at the fieldbus: its slaves, their state and their errors."""
    from controller.bus_command import bus_app

    bus_app(args=context.args, prog_name="foldline bus")


@app.command(context_settings=_FORWARDED)
def users(context: typer.Context) -> None:
    """Manage the users of the OPC UA server."""
    from controller.gateway.commands import users_app

    users_app(args=context.args, prog_name="foldline users")


@app.command(context_settings=_FORWARDED)
def trust(context: typer.Context) -> None:
    """Manage the certificates that the OPC UA server trusts."""
    from controller.gateway.commands import trust_app

    trust_app(args=context.args, prog_name="foldline trust")


def main() -> None:
    """Entry point of the command `foldline`."""
    app()


def _load(config: Path, recipe: Path, plant: Path | None = None) -> dict[str, Any]:
    """Every settings file asked for, or all that is wrong with any of them and exit status 2."""
    from controller.settings.document import SettingsError
    from controller.settings.loader import load_recipe, load_settings
    from controller.settings.together import problems_together

    def load_plant() -> Any:
        from controller.settings.plant import PlantSettings

        return load_settings(plant or Path(), PlantSettings)

    loaders: dict[str, Callable[[], Any]] = {
        "machine": lambda: _load_machine(config),
        "recipe": lambda: load_recipe(recipe),
    }
    if plant is not None:
        loaders["plant"] = load_plant
    settings: dict[str, Any] = {}
    problems: list[str] = []
    for name, load in loaders.items():
        try:
            settings[name] = load()
        except SettingsError as error:
            problems += error.problems
    if not problems:
        together = problems_together(settings["machine"], settings["recipe"])
        problems += [f"{recipe}: {problem}" for problem in together]
    if problems:
        _refuse(problems)
    return settings


def _load_faults(source: str) -> list[Any]:
    """A scenario by its name, or those of a file."""
    from controller.settings.document import SettingsError
    from controller.settings.faults import load_faults

    try:
        return load_faults(source, _shipped("faults.yaml"))
    except SettingsError as error:
        _refuse(error.problems)


def _load_machine(config: Path) -> Any:
    """The machine file, and the bus that it names."""
    from controller.settings.fieldbus import load_topology
    from controller.settings.loader import load_machine

    machine = load_machine(config)
    if machine.hal == "ethercat":
        load_topology(machine)
    return machine


def _refuse(problems: list[str]) -> NoReturn:
    from controller.settings.problems import one_screen

    print(one_screen(problems), file=sys.stderr)
    raise typer.Exit(EXIT_BROKEN_SETTINGS)


def _pass_gate(config: Path, plant: Path) -> None:
    """Have all compiled code ready; this comes before anything that imports numba."""
    from controller.display import compiling
    from controller.dry_cycle import warm_up_command
    from controller.runtime import compile_gate

    folder = compile_gate.enter()
    if not folder.writable:
        print(f"{folder.path} is not writable: compiling at every start", file=sys.stderr)
    elif not folder.warm:
        with compiling() as progress:
            compile_gate.warm_up(folder, warm_up_command(config, plant), progress)
