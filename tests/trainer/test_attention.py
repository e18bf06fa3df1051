"""Documents of a row do not see each other, and all else is transformers' sdpa."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_documents import (
    FAMILIES,
    assert_close,
    gradients,
    labels_of,
    laid_out,
    made_model,
    mean_nll,
    tokens,
)
from transformers import masking_utils

from ftadvise_trainer.speed import attention
from ftadvise_trainer.speed.attention_check import switch_on
from ftadvise_trainer.speed.attention_dense import dense, one_by_one

LENGTHS = (7, 1, 12, 3)


def packed_loss(model: Any, documents: list[torch.Tensor]) -> torch.Tensor:
    logits = model(**laid_out(documents)).logits[0, :-1]
    labels = labels_of(documents)[0, 1:]
    return torch.nn.functional.cross_entropy(logits.to(logits.dtype), labels)


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_of_a_row_are_those_of_its_documents_one_by_one(name: str) -> None:
    model = made_model(name, torch.float64)
    documents = tokens(*LENGTHS)
    loss = mean_nll(model, documents)
    true = gradients(model, loss)
    switch_on(model)
    packed = packed_loss(model, documents)
    assert packed.item() == pytest.approx(loss.item(), rel=1e-6)  # transformers' loss is float32
    assert_close(gradients(model, packed), true, 1e-5)


@pytest.mark.parametrize("name", ["qwen2", "qwen2 windows", "mistral", "gemma3", "gpt2"])
def test_another_document_changes_nothing_in_a_document(name: str) -> None:
    model = made_model(name).eval()
    switch_on(model)
    first, second, third = tokens(6, 9, 5)
    before = model(**laid_out([first, second, third])).logits
    after = model(**laid_out([(first + 1) % 97, second, (third + 5) % 97])).logits
    assert torch.equal(before[:, 6:15], after[:, 6:15])
    assert not torch.allclose(before[:, :6], after[:, :6])


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    window=st.none() | st.integers(1, 10),
    groups=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 2**16),
)
def test_dense_attention_is_that_of_each_document_alone(
    cuts: list[int], window: int | None, groups: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    total = sum(cuts)
    query, key, value = (
        torch.randn(1, heads, total, 8, generator=generator, dtype=torch.float64)
        for heads in (4, 4 // groups, 4 // groups)
    )
    ends = torch.tensor([0, *torch.tensor(cuts).cumsum(0).tolist()], dtype=torch.int32)
    found = dense(query, key, value, ends, window, 0.3)
    assert torch.allclose(found, one_by_one(query, key, value, ends, window, 0.3), atol=1e-12)
    start = 0
    for length in cuts:
        at = slice(start, start + length)
        for head in range(4):
            scores = 0.3 * query[0, head, at] @ key[0, head // groups, at].T
            seen = torch.ones(length, length, dtype=torch.bool).tril()
            if window is not None:
                seen &= ~torch.ones(length, length, dtype=torch.bool).tril(-window)
            true = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value[0, head // groups, at]
            assert torch.allclose(found[0, head, at], true, atol=1e-12)
        start += length


@pytest.mark.parametrize("name", ["qwen2", "mistral", "gemma3", "gpt2"])
def test_without_documents_it_is_sdpa_padding_cache_and_generation(name: str) -> None:
    plain = made_model(name).eval()
    plain.set_attn_implementation("sdpa")
    ours = copy.deepcopy(plain)
    switch_on(ours)
    ids = torch.cat(tokens(9, 9), dim=0)
    padded = torch.ones_like(ids)
    padded[0, :4] = 0  # to the left, as for generation
    padded[1, 7:] = 0
    for given_mask in (None, padded):
        a = plain(input_ids=ids, attention_mask=given_mask).logits
        b = ours(input_ids=ids, attention_mask=given_mask).logits
        assert torch.equal(a, b)
    how: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    mask = padded[:1]
    assert torch.equal(
        plain.generate(ids[:1], attention_mask=mask, **how),
        ours.generate(ids[:1], attention_mask=mask, **how),
    )


def test_packed_positions_without_documents_get_the_mask_of_transformers() -> None:
    plain = made_model("llama").eval()
    plain.set_attn_implementation("sdpa")
    ours = copy.deepcopy(plain)
    switch_on(ours)
    row = laid_out(tokens(5, 8))
    given_only = {"input_ids": row["input_ids"], "position_ids": row["position_ids"]}
    a, b = (model(**given_only, use_cache=False).logits for model in (plain, ours))
    assert torch.equal(a, b)


def test_no_mask_is_built_while_there_are_documents_and_one_is_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made_model("llama").eval()
    switch_on(model)
    built: list[Any] = []
    monkeypatch.setattr(attention, "sdpa_mask", lambda *args, **kwargs: built.append(kwargs))
    seen = attention.Seen()
    attention.STATE.seen = seen
    try:
        model(**laid_out(tokens(4, 4)))
        assert attention.STATE.depth == 0
        with pytest.raises(IndexError):
            model(**{**laid_out(tokens(4)), "input_ids": torch.full((1, 4), 10_000)})
        assert attention.STATE.depth == 0
    finally:
        attention.STATE.seen = None
    assert not built
    model(input_ids=tokens(4)[0])
    assert len(built) == 1
    assert seen.calls == 2
    assert seen.heads == {(4, 2, 8, 8)}


def test_what_only_a_models_own_attention_can_do_is_refused() -> None:
    query = torch.zeros(1, 2, 4, 8)
    ends = torch.tensor([0, 4], dtype=torch.int32)
    for more in ({"softcap": 30.0}, {"s_aux": torch.zeros(2)}, {"is_causal": False}):
        with pytest.raises(attention.UnsupportedAttention):
            attention.attend(
                torch.nn.Module(), query, query, query, None, cu_seq_lens_q=ends, **more
            )


def test_the_gradients_survive_activation_checkpointing() -> None:
    model = made_model("qwen2 windows").train()
    documents = tokens(*LENGTHS)
    switch_on(model)
    true = gradients(model, packed_loss(model, documents))
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(torch.nn.Module):
        def __init__(self, block: torch.nn.Module) -> None:
            super().__init__()
            self.block = block

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return checkpoint(self.block, *args, use_reentrant=False, **kwargs)

    layers = model.model.layers
    for index, block in enumerate(list(layers)):
        layers[index] = Checkpointed(block)
    found = gradients(model, packed_loss(model, documents))
    assert_close({n.replace(".block", ""): g for n, g in found.items()}, true, 1e-6)


@pytest.mark.parametrize("name", ["qwen2", "qwen2 windows", "llama", "gemma3", "mistral", "phi3"])
def test_a_row_goes_through_without_a_look_for_documents_in_its_positions(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a look asks the device, and the host would wait for it in every forward pass."""
    model = made_model(name).eval()
    switch_on(model)
    row = laid_out(tokens(5, 9))
    plain = model(**row).logits

    def waits(*args: Any) -> None:
        raise AssertionError("it looked")

    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", waits)

    assert torch.equal(model(**row).logits, plain)
