"""Every hook of ftadvise, on one page.

A plugin is a module with functions marked `@ftadvise.hookimpl`, made known by an entry point in
the group `ftadvise`. Each hook returns a list of plain data objects; ftadvise calls the functions
inside them when it needs them. A hook may be implemented by any number of plugins. Arguments may
be added to a hook later: an implementation that takes fewer stays valid.

The hooks and the data objects that they return have one version, `API`. A plugin may say with
`FTADVISE_API = 1` in its module which version it was written for; one that ftadvise does not have
sets the plugin aside before anything of it is called. What is going to be removed is first marked
`@hookspec(warn_on_impl=DeprecationWarning("..."))`, or `warn_on_impl_args={"argument": ...}`, and
stays as it is until `OLDEST_API` passes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from ftadvise.families import ModelFamily
    from ftadvise.laws import Law
    from ftadvise.readers.source import Reader
    from ftadvise.rules.case import Rule
    from ftadvise.stopping import StopPolicy

hookspec = pluggy.HookspecMarker("ftadvise")
hookimpl = pluggy.HookimplMarker("ftadvise")

API = 1
"""Version of the hooks: one more with everything new that a plugin may rely on."""
OLDEST_API = 1
"""The oldest version whose plugins still work."""


# Reading --------------------------------------------------------------------------------------


@hookspec
def register_readers() -> list[Reader]:  # type: ignore[empty-body]
    """Add log formats that `ftadvise.read` understands.

    Called once, before the first file is read. Each reader says by content how sure it is that a
    file is its own; the surest one reads it.
    """


# Fitting and stopping -------------------------------------------------------------------------


@hookspec
def register_laws() -> list[Law]:  # type: ignore[empty-body]
    """Add loss laws to the posterior that `ftadvise.fit` averages over.

    Called once, before the first fit. A law is a grid of shapes and a function that turns the
    run's progress, annealing and passes over the data into columns of a linear model.
    """


@hookspec
def register_stop_policies() -> list[StopPolicy]:  # type: ignore[empty-body]
    """Add stop policies that `ftadvise replay --policy NAME` knows.

    Called when a policy is looked up by name. A policy is a pure function of the losses so far.
    """


# Advising -------------------------------------------------------------------------------------


@hookspec
def register_rules() -> list[Rule]:  # type: ignore[empty-body]
    """Add findings with their codes and documentation.

    Called once, before the first advice. A rule looks at a `Case` and yields findings.
    """


# Training -------------------------------------------------------------------------------------


@hookspec
def register_model_families() -> list[ModelFamily]:  # type: ignore[empty-body]
    """Add model families, which say how a kind of model is recognised and named.

    Called when a model has to be matched to its family.
    """


# The command line -----------------------------------------------------------------------------


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `ftadvise` with `cli.add_command`.

    Called whenever the command line starts, `--help` included: import what is heavy inside the
    command, not at the top of the module.
    """
