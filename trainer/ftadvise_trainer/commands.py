"""`ftadvise train`: joins the command line through the `register_commands` hook.

Only click is imported here: `ftadvise --help` reads this module, and the first line has to be on
the screen before torch is loaded, which takes seconds.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

import click

from ftadvise.hookspecs import hookimpl
from ftadvise.text import clean
from ftadvise_trainer.processes import launch_command
from ftadvise_trainer.processes.rank import first_process

if TYPE_CHECKING:
    from ftadvise_trainer.settings.file import Loaded
    from ftadvise_trainer.settings.mistakes import ConfigError

_NEEDED = ("torch", "transformers", "accelerate", "yaml")


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `ftadvise train`."""
    cli.add_command(train)


class _Train(click.Command):
    """Takes `--auto=override` besides the flag `--auto`, which click has no way to say."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options that click knows in place of it."""
        found: list[str] = []
        for place, arg in enumerate(args):
            if arg == "--":
                found += args[place:]
                break
            found += ["--auto", "--override"] if arg == "--auto=override" else [arg]
        return super().parse_args(ctx, found)


@click.command(
    name="train",
    cls=_Train,
    short_help="Fine-tune a model, the best one in checkpoints/final.",
    epilog="Exit status: 0 done, 2 settings or data, 3 disk, 4 a loss that is not finite, "
    "5 the folder is in use, 130 or 143 interrupted and saved.",
)
@click.argument("config", metavar="CONFIG", type=click.Path())
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set a key of the YAML in place of what the file says, as in "
    "training.learning_rate=1e-5; may be given again.",
)
@click.option(
    "--output-dir", metavar="DIR", help="Where to write, instead of training.output_dir."
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on from the newest valid checkpoint, if there is one.",
)
@click.option(
    "--allow-changed",
    is_flag=True,
    help="Resume although settings differ from those of the checkpoint.",
)
@click.option(
    "--remote-code",
    metavar="NAME@REVISION",
    help="Let the model's own code run, at this commit (40 digits) of this repository. "
    "On a terminal it asks first.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether remote code may run.")
@click.option(
    "--auto",
    is_flag=True,
    help="Choose epochs, schedule, evaluations and stopping from past runs where CONFIG leaves them "
    "open; --auto=override, also where it does not.",
)
@click.option("--override", is_flag=True, hidden=True)
@click.option(
    "--from",
    "logs",
    metavar="LOG",
    multiple=True,
    help="With --auto: the log of a past run; may be given again.",
)
@launch_command.launch_options
@click.option("--print-config", is_flag=True, help="Print all settings with defaults, and stop.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print steps, memory, disk and an example as it is trained, and stop.",
)
@click.option("--quiet", is_flag=True, help="No progress, only what goes wrong.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    config: str,
    overrides: tuple[str, ...],
    output_dir: str | None,
    resume: bool,
    allow_changed: bool,
    remote_code: str | None,
    yes: bool,
    auto: bool,
    override: bool,
    logs: tuple[str, ...],
    print_config: bool,
    dry_run: bool,
    quiet: bool,
    **launch: Any,
) -> None:
    """Fine-tune a model as CONFIG says, a YAML with model:, data: and training:.

    Metrics, checkpoints and the best model (final) are written to training.output_dir. Evaluates
    as it goes, stops when the YAML's patience runs out, and resumes by itself when it is started
    again. The path of the final model goes to stdout, everything else to stderr.

    With --auto, past runs (--from, earlier ones in the same folder, the history) say how to train.
    Without any, the run holds its learning rate until its own curves say that the end is near.
    A finished run is left as it is: the next one goes into run-2, run-3, ... below its folder, and
    final there is the best of all.

    With --nproc it trains in several processes, one for each GPU; a lost one ends them all, or with
    --max-restarts starts them again from the newest checkpoint.
    """
    if override and not auto:
        raise click.UsageError("--override belongs to --auto: --auto=override")
    _check_auto(auto, logs, print_config or dry_run)
    if launch["emit"]:
        launch_command.emit(ctx.params)
        return
    # Of several processes only the first speaks; what goes wrong is said by each of them.
    quiet = quiet or not first_process()
    if not (quiet or print_config or "FTADVISE_LAUNCH" in os.environ):
        click.echo(f"ftadvise train {clean(config, 300)}", err=True)
    _check_installed(("yaml",) if print_config else _NEEDED)
    from ftadvise_trainer.settings.mistakes import ConfigError

    try:
        loaded = _load(config, overrides, output_dir)
        if print_config:
            _print_config(loaded, remote_code)
            return
        if loaded.config.lora is not None:
            _check_installed(("peft",))
        if remote_code is not None:
            from ftadvise_trainer.consent import ask

            ask(loaded.config, remote_code, yes)
        if dry_run:
            each = launch_command.processes(loaded.config, launch) or 1
            code = _dry_run(loaded, remote_code, each, int(launch["nnodes"]))
        elif nproc := launch_command.processes(loaded.config, launch):
            code = launch_command.launch(nproc, ctx.params)
        else:
            chosen = (logs, override) if auto else None
            code = _train(loaded, resume, allow_changed, remote_code, quiet, chosen)
    except ConfigError as error:
        _complain(error)
        ctx.exit(error.exit_code)
    ctx.exit(code)


def _check_auto(auto: bool, logs: tuple[str, ...], looks: bool) -> None:
    """Refuse options that go together in no way."""
    if logs and not auto:
        raise click.UsageError("--from says what to choose from, and belongs to --auto")
    if auto and looks:
        raise click.UsageError(
            "--auto chooses when a run begins; leave --print-config and --dry-run out"
        )


def _check_installed(names: tuple[str, ...]) -> None:
    """Refuse to go on without what training needs, in the words of pip."""
    missing = [name for name in names if find_spec(name) is None]
    if not missing:
        return
    from ftadvise_trainer.errors import TrainError

    name = {"yaml": "PyYAML"}.get(missing[0], missing[0])
    message = f"training needs {name}: pip install 'ftadvise[train]'"
    raise TrainError(message, code="FT509")


def _load(path: str, overrides: tuple[str, ...], output_dir: str | None) -> Loaded:
    from ftadvise_trainer.settings.file import load

    if output_dir is not None:
        import json

        # In quotes, since a folder may be called anything.
        quoted = json.dumps(output_dir, ensure_ascii=False)
        overrides = (*overrides, f"training.output_dir={quoted}")
    return load(path, overrides)


def _print_config(loaded: Loaded, remote_code: str | None) -> None:
    from ftadvise_trainer.settings.recipes import looked_up
    from ftadvise_trainer.settings.text import effective_yaml

    config, missing = looked_up(loaded.config, remote_code)
    click.echo(effective_yaml(replace(loaded, config=config), missing), nl=False)


def _dry_run(loaded: Loaded, remote_code: str | None, nproc: int, nnodes: int) -> int:
    from ftadvise_trainer import dryrun

    found = dryrun.dry_run(loaded.config, remote_code=remote_code, nproc=nproc, nnodes=nnodes)
    click.echo(dryrun.report(found))
    return 0 if found.fits_on_disk else 3


def _train(
    loaded: Loaded,
    resume: bool,
    allow_changed: bool,
    remote_code: str | None,
    quiet: bool,
    auto: tuple[tuple[str, ...], bool] | None,
) -> int:
    from ftadvise_trainer.quick_imports import thawed, uncollected

    outcome: Any
    with thawed(), open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - no path
        with uncollected():
            from ftadvise_trainer import training
            from ftadvise_trainer.auto import run as auto_run

        stream: TextIO = nowhere if quiet else sys.stderr
        outcome = training.train(
            loaded.config,
            resume=resume,
            allow_changed=allow_changed,
            stream=stream,
            remote_code=remote_code,
            auto=auto_run.Auto(*auto) if auto else None,
        )
    if outcome.final is not None and first_process():
        click.echo(str(outcome.final))
    return int(outcome.exit_code)


def _complain(error: ConfigError) -> None:
    """Write every mistake on a line of its own."""
    if len(error.mistakes) == 1:
        raise error
    for mistake in error.mistakes:
        click.echo(f"error: {clean(mistake, 1000)}", err=True)
    found = f"{len(error.mistakes)} mistakes in {clean(error.name, 300)}"
    click.echo(f"error: {found} [{error.code}]", err=True)
