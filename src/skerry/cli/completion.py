"""``skerry completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.errors import ConfigError


@click.command(cls=Command, example='eval "$(skerry completion bash)"\nskerry completion fish | source')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    console = ctx.ensure_object(Console)
    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigError(f"no completion for {shell}")
    script = kind(ctx.find_root().command, {}, "skerry", "_SKERRY_COMPLETE").source()
    if console.as_json:
        console.json({"shell": shell, "script": script})
    else:
        console.data(script.rstrip())
