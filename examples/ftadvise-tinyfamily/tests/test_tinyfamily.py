"""The family is recognised, and its template trains on answers and nothing else."""

from __future__ import annotations

import ftadvise_tinyfamily as plugin

from ftadvise.testing import check_family


def test_the_family_keeps_its_promises() -> None:
    """The checks of ftadvise; given a tokenizer of the model, in its tokens too."""
    check_family(plugin.TINY_STORIES)


def test_models_are_recognised_by_their_type_and_name() -> None:
    """Another GPT-Neo fits by its type alone, and another type not at all."""
    family = plugin.TINY_STORIES
    told_stories = family.matches("gpt_neo", "somebody/TinyStories-33M")
    assert told_stories > family.matches("gpt_neo", "somebody/a-model") > 0
    assert family.matches("gpt2", "somebody/TinyStories-33M") == 0
