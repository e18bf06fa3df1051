"""`ftadvise completion`: the script that lets a shell complete our words."""

from __future__ import annotations

import click

from ftadvise.cli.output import write

# How click is asked for words; it derives the name from that of the program.
VARIABLE = "_FTADVISE_COMPLETE"


@click.command(name="completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, formats, codes and policies.

    \b
    bash: echo 'eval "$(ftadvise completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(ftadvise completion zsh)"' >> ~/.zshrc
    fish: ftadvise completion fish > ~/.config/fish/completions/ftadvise.fish

    The script of bash needs bash 4.4.
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with this character
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    write(made(ctx.find_root().command, {}, "ftadvise", VARIABLE).source().rstrip("\n"))
