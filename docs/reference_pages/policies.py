"""Stop policies and loss laws: what is built in."""

from __future__ import annotations

import inspect

from ftadvise.cli.replay import CUSTOMARY
from ftadvise.laws import built_in_laws
from ftadvise.numbers import count
from ftadvise.stopping import register_stop_policies
from reference_pages.docstrings import parsed
from reference_pages.markdown import WRITTEN, bullets, code, fenced, page, prose, table

_SPECS = """
A policy is named with its settings after a colon, as in `transformers:patience=3,threshold=0.001`;
`min_delta` is another name for `threshold`. What is left out is the policy's own. A policy counts
evaluations of the eval loss, and where a log has none, train losses.
"""

_SYMBOLS = """
S1 is progress, in epochs at the peak learning rate; S2 or annealing says how far the rate has come
down, from 0 to 1; s0 and α give the fall its shape; C is what annealing gains and P what
overfitting costs. A shape is one combination of α, s0, C and P.
"""


def pages() -> dict[str, str]:
    """Return the pages of the stop policies and of the laws by path."""
    return {"stop-policies.md": _policies(), "laws.md": _laws()}


def _policies() -> str:
    rows = [
        (
            code(policy.name),
            prose(policy.description),
            str(policy.patience),
            f"{policy.threshold:g}",
        )
        for policy in register_stop_policies()
    ]
    parts = [
        "What [`ftadvise replay`](commands/replay.md) and `ftadvise.replay` can replay on a log.",
        _SPECS,
        table(("policy", "what it does", "patience", "threshold"), rows),
        "Without `--policy`, `ftadvise replay` shows these:",
        fenced("\n".join(CUSTOMARY)),
        "A plugin adds others: [register_stop_policies](hooks/register_stop_policies.md).",
    ]
    return page("Stop policies", WRITTEN, *parts)


def _laws() -> str:
    import ftadvise.laws

    doc = parsed(ftadvise.laws.__doc__)
    rows = [
        f"`{law.name}`, {count(law.shapes.shape[0], 'shape')}: `{law.formula}`"
        for law in built_in_laws()
    ]
    paragraphs = doc.text.split("\n\n")[1:]
    parts = [
        (
            "The curves that [a fit](python.md#fit) averages over, each weighted by how well it explains "
            "the log. [How that works](../method.md)."
        ),
        *(
            fenced(inspect.cleandoc("\n" + p)) if p.startswith("    ") else prose(p)
            for p in paragraphs
        ),
        _SYMBOLS,
        "## Built in",
        bullets(rows),
        "A plugin adds others: [register_laws](hooks/register_laws.md).",
    ]
    return page("Loss laws", WRITTEN, *parts)
