"""The loss in pieces is the loss of all logits, with the same gradients, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_documents import FAMILIES, assert_close, gradients, labels_of, made_model, tokens
from torch.nn import functional

from ftadvise_trainer.speed import chunk_loss
from ftadvise_trainer.speed.fused_loss import FusedHead, Told, fuse, trained_places, unfuse
from ftadvise_trainer.speed.linear_loss import Recipe, chunk_rows, linear_nll
from ftadvise_trainer.speed.loss_check import try_loss

SMALL = 97 * 8 * 3  # three rows of float64 logits


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return two rows with padding, and labels of which some are not trained."""
    ids = torch.cat(tokens(11, 11))
    labels = ids.clone()
    labels[0, :4] = labels[1, :1] = labels[1, 8:] = -100
    return ids, labels


def recipe_of(model: Any) -> Recipe:
    with torch.no_grad():
        recipe, reason = try_loss(model.eval())
    assert recipe is not None, reason
    return Recipe(recipe.scale, recipe.cap, chunk_bytes=SMALL)


def fused_sum(model: Any, head: FusedHead, ids: torch.Tensor, labels: torch.Tensor) -> Any:
    with head.told(labels) as told:
        outputs = model(input_ids=ids, use_cache=False)
    return told.sum(outputs), told


@pytest.mark.parametrize("name", [*FAMILIES, "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_loss_and_gradients_are_those_of_all_logits(name: str, dtype: torch.dtype) -> None:
    model = made_model(name, dtype)
    ids, labels = batch()
    plain = model(input_ids=ids, labels=labels, use_cache=False).loss
    true = gradients(model, plain)
    head = fuse(model, recipe_of(model))
    assert head is not None
    total, told = fused_sum(model, head, ids, labels)
    loss = total / told.tokens
    assert told.tokens == 7 + 7
    assert loss.item() == pytest.approx(plain.item(), rel=2e-6)
    assert_close(gradients(model, loss), true, 1e-6 if dtype == torch.float64 else 2e-5)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 40),
    pieces=st.integers(1, 12),
    scale=st.sampled_from([1.0, 0.0625, 8.0]),
    cap=st.none() | st.sampled_from([3.0, 30.0]),
    bias=st.booleans(),
    factor=st.floats(0.01, 100.0),
)
def test_any_cut_gives_the_same_loss_and_gradients(
    n: int, pieces: int, scale: float, cap: float | None, bias: bool, factor: float
) -> None:
    generator = torch.Generator().manual_seed(n)

    def make(*shape: int) -> torch.Tensor:
        made = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return made.requires_grad_()

    hidden, weight, shift = make(50, 6), make(31, 6), make(31) if bias else None
    places = torch.randperm(50, generator=generator)[:n]
    targets = torch.randint(0, 31, (n,), generator=generator)
    inputs = [x for x in (hidden, weight, shift) if x is not None]
    z = functional.linear(hidden, weight, shift) * scale
    z = z if cap is None else cap * torch.tanh(z / cap)
    true = functional.cross_entropy(z[places], targets, reduction="sum")
    size = 31 * 8 * max(1, -(-n // pieces))
    recipe = Recipe(scale, cap, chunk_bytes=size)
    nll, each, end = linear_nll(hidden, weight, shift, targets, places, recipe)
    assert nll.item() == pytest.approx(true.item(), rel=1e-12, abs=1e-12)
    assert each.sum().item() == pytest.approx(true.item(), rel=1e-12, abs=1e-12)
    assert not each.requires_grad
    found = torch.autograd.grad(factor * nll + end.sum(), inputs)
    for a, b in zip(found, torch.autograd.grad(factor * true, inputs), strict=True):
        assert float((a - b).abs().max()) <= 1e-10 * max(1.0, float(b.abs().max()))


def test_the_one_kernel_in_eager_form_gives_what_the_eager_one_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        for scale, cap in ((1.0, None), (0.5, 4.0)):
            logits = (3 * torch.randn(9, 50, generator=generator)).to(dtype)
            targets = torch.randint(0, 50, (9,), generator=generator)
            one, other = logits.clone(), logits.clone()
            a = chunk_loss.eager(one, targets, scale, cap, True)
            b = chunk_loss.functional(other, targets, scale, cap, True)
            assert torch.allclose(a, b, rtol=1e-6)
            assert torch.allclose(one, other, rtol=1e-2, atol=1e-6)
            untouched = logits.clone()
            assert torch.equal(chunk_loss.eager(untouched, targets, scale, cap, False), a)
            assert torch.equal(untouched, logits)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_the_compiled_kernel_gives_what_the_eager_one_gives_for_any_number_of_rows() -> None:
    for rows in (9, 4, 17):
        logits = torch.randn(rows, 50).to(torch.bfloat16)
        targets = torch.randint(0, 50, (rows,))
        one, other = logits.clone(), logits.clone()
        a = chunk_loss.eager(one, targets)
        b = chunk_loss.compiled()(other, targets, 1.0, None, True)
        assert torch.allclose(a, b, rtol=1e-5)
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-4)


def test_a_sure_target_keeps_its_gradient_in_half_precision() -> None:
    # 1 - p is 0.003, and the next number to p = 0.997 in bfloat16 is 1.
    logits = torch.tensor([[5.8, 0.0]], dtype=torch.bfloat16)
    true = torch.softmax(logits.double(), -1)[0, 0] - 1.0
    chunk_loss.eager(logits, torch.tensor([0]))
    assert logits[0, 0].item() == pytest.approx(true.item(), rel=1e-2)


def test_half_precision_is_as_near_to_the_truth_as_the_plain_way() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(256, 16, generator=generator).to(torch.bfloat16).requires_grad_()
    weight = torch.randn(20, 16, generator=generator).requires_grad_()
    targets = torch.randint(0, 20, (256,), generator=generator)
    wide = [x.detach().to(torch.bfloat16).double().requires_grad_() for x in (hidden, weight)]
    true = torch.autograd.grad(
        functional.cross_entropy(wide[0] @ wide[1].T, targets, reduction="sum") / 256, wide
    )
    with torch.autocast("cpu", torch.bfloat16):
        logits = functional.linear(hidden, weight)
    plain = functional.cross_entropy(logits.float(), targets, reduction="sum") / 256
    theirs = torch.autograd.grad(plain, (hidden, weight))
    nll, _, _ = linear_nll(
        hidden, weight, None, targets, torch.arange(256), Recipe(chunk_bytes=20 * 2 * 2)
    )
    ours = torch.autograd.grad(nll / 256, (hidden, weight))
    for a, b, t in zip(ours, theirs, true, strict=True):
        assert a.dtype == b.dtype
        assert float((a.double() - t).norm()) <= 1.2 * float((b.double() - t).norm())


def test_under_autocast_the_head_computes_in_its_type_and_master_weights_get_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    types: set[torch.dtype] = set()
    eager = chunk_loss.eager

    def watched(logits: torch.Tensor, *args: Any) -> torch.Tensor:
        types.add(logits.dtype)
        return eager(logits, *args)

    monkeypatch.setattr("ftadvise_trainer.speed.linear_loss.eager", watched)
    model = made_model("llama").train()
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    with torch.autocast("cpu", torch.bfloat16):
        plain = model(input_ids=ids, labels=labels, use_cache=False).loss
        true = gradients(model, plain)
        total, told = fused_sum(model, head, ids, labels)
    assert types == {torch.bfloat16}
    found = gradients(model, total / told.tokens)
    assert (total / told.tokens).item() == pytest.approx(plain.item(), rel=5e-3)
    assert all(gradient.dtype == torch.float32 for gradient in found.values())
    assert_close(found, true, 3e-2)


def test_no_more_logits_exist_at_a_time_than_fit_into_a_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    eager = chunk_loss.eager

    def watched(logits: torch.Tensor, *args: Any) -> torch.Tensor:
        seen.append(logits.numel() * logits.element_size())
        return eager(logits, *args)

    monkeypatch.setattr("ftadvise_trainer.speed.linear_loss.eager", watched)
    hidden, weight = torch.randn(100, 8), torch.randn(500, 8, requires_grad=True)
    recipe = Recipe(chunk_bytes=40_000)
    linear_nll(hidden, weight, None, torch.zeros(100, dtype=torch.long), torch.arange(100), recipe)
    assert len(seen) == 5
    assert max(seen) <= 40_000


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(0, 100_000), row_bytes=st.integers(2, 10**6), most=st.integers(1, 1 << 32))
def test_pieces_fit_into_the_bytes_and_cover_all_rows(
    rows: int, row_bytes: int, most: int
) -> None:
    size = chunk_rows(rows, row_bytes, Recipe(chunk_bytes=most), torch.device("cpu"))
    assert size >= 1
    assert size == 1 or size * row_bytes <= most


def test_untold_the_head_gives_logits_and_told_in_evaluation_the_loss_of_each_row() -> None:
    model = made_model("qwen2 tied").eval()
    ids, labels = batch()
    plain = model(input_ids=ids).logits
    head = fuse(model)
    assert head is not None
    assert torch.equal(model(input_ids=ids).logits, plain)
    with torch.no_grad():
        total, told = fused_sum(model, head, ids, labels)
    assert not total.requires_grad
    for row in range(2):
        true = functional.cross_entropy(plain[row, :-1], labels[row, 1:], reduction="sum")
        assert told.nll_by_row()[row].item() == pytest.approx(true.item(), rel=1e-5)
    assert told.tokens_by_row().tolist() == [7, 7]
    assert head.labels is None


def test_places_may_be_given_and_shifted_labels_too() -> None:
    model = made_model("llama").eval()
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    places = trained_places(labels)
    true, _ = fused_sum(model, head, ids, labels)
    with head.told(labels, places=places) as told:
        found = told.sum(model(input_ids=ids))
    assert torch.equal(found, true)
    following = functional.pad(labels[:, 1:], (0, 1), value=-100)
    with head.told(torch.empty(0), shift_labels=following) as told:
        found = told.sum(model(input_ids=ids))
    assert torch.equal(found, true)


def test_a_row_without_trained_tokens_gives_zero_and_zero_gradients() -> None:
    model = made_model("llama")
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    total, told = fused_sum(model, head, ids, torch.full_like(labels, -100))
    assert told.tokens == 0
    assert total.item() == 0.0
    found = gradients(model, total)
    assert len(found) == len(list(model.parameters()))
    assert not any(gradient.any() for gradient in found.values())


def test_parameters_names_ties_and_files_stay_as_they_were(tmp_path: Path) -> None:
    for name in ("qwen2", "qwen2 tied", "phi"):
        model = made_model(name)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        names = [key for key, _ in model.named_parameters()]
        assert fuse(model) is not None
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert tied == (name == "qwen2 tied")
        assert list(model.state_dict()) == list(before)
        assert [key for key, _ in model.named_parameters()] == names
        model.save_pretrained(tmp_path / name)
        again = type(model).from_pretrained(tmp_path / name)
        for key, value in again.state_dict().items():
            assert torch.equal(value, before[key])
        model.load_state_dict(before)
        assert isinstance(model.get_output_embeddings(), FusedHead)
        unfuse(model)
        assert type(model.get_output_embeddings()) is torch.nn.Linear
        assert [key for key, _ in model.named_parameters()] == names


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("adapted", [False, True], ids=["head frozen", "head adapted"])
def test_lora_trains_its_adapter_through_the_head_and_an_adapted_head_is_left(
    adapted: bool,
) -> None:
    peft = pytest.importorskip("peft")
    targets = ["q_proj", "v_proj", *(["lm_head"] if adapted else [])]
    base = made_model("llama", torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        settings = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
        settings.task_type = "CAUSAL_LM"
        model = peft.get_peft_model(base, settings)
    ids, labels = batch()
    plain = model(input_ids=ids, labels=labels, use_cache=False).loss
    true = gradients(model, plain)
    head = fuse(model, Recipe(chunk_bytes=SMALL))
    if adapted:
        assert head is None
        return
    assert head is not None
    total, told = fused_sum(model, head, ids, labels)
    assert_close(gradients(model, total / told.tokens), true, 1e-6)
    assert head.weight.grad is None


def test_the_way_back_begins_at_what_the_model_returns_where_ddp_and_fsdp_wait_for_it() -> None:
    model = made_model("gemma3 capped")
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    with head.told(labels) as told:
        outputs = model(input_ids=ids, use_cache=False)
    came: list[torch.Tensor] = []
    outputs.logits.register_hook(came.append)
    total = told.sum(outputs)
    assert told.nll is not None
    assert torch.equal(total, told.nll)
    gradients(model, total)
    assert len(came) == 1


def test_gradients_of_two_rows_add_up() -> None:
    model = made_model("qwen2 tied", torch.float64)
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    true = gradients(model, fused_sum(model, head, ids, labels)[0] / 14)
    for row in range(2):
        (fused_sum(model, head, ids[row : row + 1], labels[row : row + 1])[0] / 14).backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert_close(found, true, 1e-9)


def test_gradients_are_given_once_and_a_loss_without_a_forward_pass_is_an_error() -> None:
    model = made_model("llama")
    ids, labels = batch()
    head = fuse(model)
    assert head is not None
    total, _ = fused_sum(model, head, ids, labels)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="forward again"):
        total.backward()
    with head.told(labels) as told:
        pass
    with pytest.raises(RuntimeError, match="has not gone through"):
        told.sum({"logits": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="was told"), head.told(labels[:, :5]):
        model(input_ids=ids)
    assert head.labels is None


def test_labels_of_a_packed_row_train_no_first_token() -> None:
    documents = tokens(4, 3)
    labels = labels_of(documents)
    places = trained_places(labels)
    assert places.tolist() == [0, 1, 2, 4, 5]
    assert Told(places, labels[0, 1:][places], 1, 7).tokens == 5
