"""``skerry federate run``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.federate.deploying import ImageChoice, deploy_clients, deploy_here
from skerry.cli.federate.watching import watch_run
from skerry.cli.options import Command, complete_site, complete_target, connect, home_option, json_option
from skerry.cli.project import find_target
from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.learn.federated.plan import Plan

CODINGS = ("float32", "float64", "float16", "int8", "top-k")


@click.command(
    cls=Command,
    example="skerry federate run digits.py --site edge-1 --site edge-2 --site edge-3 --rounds 20\n"
    "skerry federate run digits.py --clients 3 --strategy fedadam --strategy-set server_learning_rate=0.1\n"
    "skerry federate run digits.py --site edge-1 --site edge-2 --set epochs=10 --coding int8 --quorum 0.5",
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--site", "sites", multiple=True, metavar="NAME", shell_complete=complete_site, help="A client's site.")
@click.option("--clients", type=click.IntRange(1), help="Clients played by the engine on this machine.  [default: 3]")
@click.option("--client", "names", multiple=True, metavar="NAME", help="The same by their names; repeatable.")
@click.option("--server", metavar="SITE", help="A site that evaluates the model on data of its own.")
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--strategy", default="fedavg", show_default=True, help="How models are made of replies.")
@click.option("--strategy-set", "strategy_options", multiple=True, metavar="OPTION=VALUE", help="Of the strategy.")
@click.option("--selection", default="all", show_default=True, help="Who takes part in a round.")
@click.option("--per-round", type=click.IntRange(1), help="Clients of a round.  [default: all]")
@click.option(
    "--quorum",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of them that is enough once others are slow.",
)
@click.option("--deadline", type=Duration(0, min_open=True), help="Longest training of a round.")
@click.option(
    "--coding",
    type=click.Choice(CODINGS),
    default="float32",
    show_default=True,
    help="How replies are written: int8 and top-k are smaller.",
)
@click.option(
    "--down-coding", type=click.Choice(CODINGS), default="float32", show_default=True, help="How models are written."
)
@click.option(
    "--remember",
    type=click.IntRange(0),
    help="Rounds for which the last update of a client that is not heard counts.  [default: 20 with a --quorum below "
    "1, where all are asked and nothing forbids it; else 0]",
)
@click.option("--secure", is_flag=True, help="Sum updates so that the coordinator sees no single one.")
@click.option(
    "--privacy",
    type=click.Choice(("local", "central")),
    help="Differential privacy: noise on each update at its site, or on their sum here.",
)
@click.option("--clip-norm", type=click.FloatRange(0, min_open=True), help="With --privacy: largest norm of an update.")
@click.option(
    "--noise",
    type=click.FloatRange(0),
    help="With --privacy: standard deviation of the noise, in units of --clip-norm.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="What your own code is told; repeatable.")
@click.option("--metric", default="accuracy", show_default=True, help="By which the best model is kept.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option("--image", metavar="REFERENCE", help="Of sites that are clusters: one that is there; none is built.")
@click.option("--insecure-registry", is_flag=True, help="Allow plain HTTP to registries of other machines.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="[default: runs/NAME-NUMBER]")
@home_option
@json_option
@click.pass_obj
def run(console: Console, /, *, target: str | None, folder: Path | None, home: Path, **options: Any) -> None:
    """Deploy a client's app and train with it in rounds.

    TARGET is FILE[:APP]; without it, the one that skerry.toml names. With --site, each site is a client with its own
    data; without, the engine on this machine plays several. With --json, one object is printed at the end: the rounds
    with their metrics, clients, bytes and times.
    """
    from skerry.learn.federated.coordinator.federation import Federation
    from skerry.learn.federated.policies.deadlines import quorum

    found = find_target(target)
    image = ImageChoice(reference=options.pop("image"), insecure=options.pop("insecure_registry"))
    name = Path(found.source).stem.replace(".", "-")
    plan = _plan(name, **options)
    if folder is not None:
        _require_free(folder)
    sites = options["sites"]
    deploy_clients(console, found, sites, image, server=options["server"], needed=quorum(len(sites), plan.patience))
    if not sites:
        deploy_here(console, found, home)
    folder = folder or _new_folder(name)
    federation = Federation(folder, plan, places={None: connect(home)})
    watch_run(console, federation, folder, plan, home)


def _plan(name: str, *, sites: Sequence[str], clients: int | None, names: Sequence[str], **options: Any) -> Plan:
    """Return the plan that the options mean.

    Raises:
        ConfigError: they do not go together.
    """
    from skerry.learn.federated.coordinator.agreement import check_plan
    from skerry.learn.federated.plan import job_name, make_plan
    from skerry.learn.federated.selection import make_selection
    from skerry.learn.federated.strategies import find_strategy
    from skerry.learn.federated.wire.messages import Secure

    if sum((bool(sites), clients is not None, bool(names))) > 1:
        raise ConfigError("--site, --clients and --client do not go together: each site is one client")
    for option, given in (("--site", sites), ("--client", names)):
        if len(set(given)) < len(given):
            raise ConfigError(f"{option}: {', '.join(given)}: name each once")
    width = len(str(clients or 3))
    played = names or [f"client-{number:0{width}}" for number in range(1, (clients or 3) + 1)]
    strategy_options = parse_settings(options["strategy_options"], "--strategy-set")
    find_strategy(options["strategy"], **strategy_options)
    make_selection(options["selection"])
    plan = make_plan(
        job=job_name(name),
        members=[{"name": site, "site": site} for site in sites] or [{"name": client} for client in played],
        rounds=options["rounds"],
        seed=options["seed"],
        strategy=options["strategy"],
        strategy_options=strategy_options,
        selection=options["selection"],
        settings=parse_settings(options["settings"], "--set"),
        coding=options["coding"],
        down_coding=options["down_coding"],
        clients_per_round=options["per_round"],
        quorum_ratio=options["quorum"],
        deadline_s=options["deadline"],
        remember_rounds=options["remember"],
        secure=Secure() if options["secure"] else None,
        **_noise(options["privacy"], options["clip_norm"], options["noise"]),
        server=options["server"],
        best_metric=options["metric"],
    )
    check_plan(plan)
    return plan


def _noise(kind: str | None, clip_norm: float | None, noise: float | None) -> dict[str, Any]:
    """Return the field of the plan that asks for differential privacy; none without it.

    Raises:
        ConfigError: it is half asked for.
    """
    given = {"--clip-norm": clip_norm, "--noise": noise}
    missing = [option for option, value in given.items() if (value is None) == (kind is not None)]
    if kind is None and missing:
        raise ConfigError(f"{' and '.join(missing)}: only with --privacy local or --privacy central")
    if missing:
        raise ConfigError(f"--privacy {kind} needs {' and '.join(missing)}")
    if kind is None:
        return {}
    return {"privacy" if kind == "local" else "central": {"clip_norm": clip_norm, "noise_multiplier": noise}}


def parse_settings(settings: Sequence[str], option: str) -> dict[str, Any]:
    """Return settings of the form ``NAME=VALUE``; values are JSON where they can be, else texts.

    Raises:
        ConfigError: one has another form.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} {setting}: write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _new_folder(name: str) -> Path:
    """Make a folder for a run and return it; of runs that begin at once, each gets its own."""
    for number in itertools.count(1):
        folder = Path("runs") / f"{name}-{number}"
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def _require_free(folder: Path) -> None:
    if (folder / "plan.json").exists():
        raise ConfigError(
            f"{folder} holds a run already", hint=f"go on with it: skerry federate resume {folder}; or name another"
        )
