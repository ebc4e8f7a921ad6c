import re

import click
import pytest

from skerry.cli.durations import Duration
from skerry.cli.main import cli


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2.0), ("0.5", 0.5), ("250ms", 0.25), ("1.5m", 90.0), ("2h", 7200.0), ("0", 0.0)]
)
def test_seconds_are_read_with_and_without_a_unit(text, seconds):
    assert Duration(min=0).convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["soon", "5 parsecs", "nan", "inf", "", "1e999"])
def test_anything_else_is_refused_with_what_to_write(text):
    with pytest.raises(click.BadParameter, match=r"write seconds, like 2\.5, or a number with its unit"):
        Duration(min=0).convert(text, None, None)


def test_the_range_holds_whatever_the_unit():
    with pytest.raises(click.BadParameter, match="not in the range"):
        Duration(min=0.001, max=10).convert("11s", None, None)


@pytest.mark.parametrize(
    ("path", "option"),
    [
        (["invoke"], "timeout"),
        (["load"], "duration"),
        (["load"], "warm_up"),
        (["deploy"], "wait"),
        (["jobs", "result"], "wait_s"),
        (["state", "watch"], "wait_s"),
        (["state", "put"], "ttl_s"),
        (["federate", "run"], "deadline"),
        (["network", "flows", "listen"], "seconds"),
        (["network", "flows", "read"], "width_s"),
    ],
    ids=" ".join,
)
def test_every_command_reads_its_durations_in_this_way(path, option):
    command = cli
    for name in path:
        command = command.get_command(click.Context(command), name)

    found = [parameter.type for parameter in command.params if parameter.name == option]

    assert [type(kind) for kind in found] == [Duration]


def durations_of(command, path=()):
    """Return the options of a command, and of those below it, that are durations."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from durations_of(command.get_command(context, name), (*path, name))
    else:
        yield from ((path, context, one) for one in command.params if isinstance(one.type, Duration))


def test_help_shows_the_unit_of_a_default_and_a_range_that_there_is():
    for path, context, option in durations_of(cli):
        shown = option.get_help_record(context)[1]

        assert "None" not in shown, path
        assert not re.search(r"default: [\d.]+[;\]]", shown), path
