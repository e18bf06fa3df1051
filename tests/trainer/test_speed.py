"""What makes a run fast is switched on where it gives the same numbers, and only there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from made_documents import (
    assert_close,
    gradients,
    labels_of,
    laid_out,
    made_model,
    mean_nll,
    tokens,
)
from made_ranks import run_ranks
from transformers import LlamaForCausalLM

from ftadvise_trainer.config import Config, ModelConfig, TrainingConfig
from ftadvise_trainer.speed import attention, attention_check, compiling
from ftadvise_trainer.speed.attention_dense import dense
from ftadvise_trainer.speed.speed_up import speed_up

CPU = torch.device("cpu")
GPU = torch.device("cuda")
EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_local_experts": 2,
    "moe_intermediate_size": 16,
}


def config(**training: Any) -> Config:
    return Config(training=TrainingConfig(**training))


@pytest.mark.parametrize(
    "name", ["qwen2", "llama", "gpt2", "mistral", "gemma3 capped", "phi3", "granite"]
)
def test_packed_and_fused_together_give_the_loss_and_gradients_of_the_plain_way(name: str) -> None:
    model = made_model(name, torch.float64)
    documents = tokens(6, 2, 9, 4)
    loss = mean_nll(model, documents, untrained=2)
    true = gradients(model, loss)
    speed = speed_up(model, config(), device="cpu", steps=10)
    assert speed.packed
    assert speed.head is not None
    with speed.head.told(labels_of(documents, untrained=2)) as told:
        outputs = model(**laid_out(documents))
    found = told.sum(outputs) / told.tokens
    assert found.item() == pytest.approx(loss.item(), rel=1e-6)
    assert_close(gradients(model, found), true, 1e-5)


@pytest.mark.parametrize(
    ("name", "more", "packed", "fused", "words"),
    [
        ("gemma2", {"head_dim": 8}, False, True, "packing: no, "),
        ("stablelm", {}, False, True, "its attention is its own"),
        (
            "qwen2_moe",
            {**EXPERTS, "output_router_logits": True},
            False,
            False,
            "the loss of its routers would count once for each row",
        ),
        (
            "llama4_text",
            {**EXPERTS, "attention_chunk_size": 4, "head_dim": 8},
            False,
            True,
            "packing: no",
        ),
        ("gemma3 capped", {}, True, True, "a soft cap of 30"),
        ("granite", {}, True, True, "a factor of 0.125"),
    ],
)
def test_each_model_gets_what_gives_the_same_numbers_and_is_told_why(
    name: str, more: dict[str, Any], packed: bool, fused: bool, words: str
) -> None:
    model = made_model(name, **more)
    speed = speed_up(model, config(), device="cpu", steps=10)
    assert speed.packed is packed
    assert speed.fused is fused
    assert any(words in line for line in speed.lines), speed.lines


def test_a_trial_leaves_weights_modes_random_numbers_and_logits_alone() -> None:
    model = made_model("mistral").train()
    model.model.layers[0].eval()
    keys = list(model.state_dict())
    modes = [module.training for module in model.modules()]
    ids = tokens(9)[0]
    before = model(input_ids=ids).logits
    random = torch.get_rng_state()
    speed_up(model, config(packing=False, fused_loss=False), device="cpu")
    assert torch.equal(model(input_ids=ids).logits, before)
    speed_up(model, config(), device="cpu")
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == keys
    assert torch.allclose(model(input_ids=ids).logits, before, atol=1e-5)
    assert attention.STATE.depth == 0
    assert attention.STATE.seen is None


LEAKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "much of the token before": lambda x: x + 1e-2 * x.roll(1, dims=1),
    "a little of the token before": lambda x: x + 1e-5 * x.roll(1, dims=1),
    "its place in the row": lambda x: x * (1 + 0.01 * torch.arange(x.shape[1])[None, :, None]),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_model_whose_tokens_know_more_than_their_document_is_not_packed(leak: str) -> None:
    model = made_model("llama")
    depths: list[int] = []

    def leaking(module: Any, args: Any, result: torch.Tensor) -> torch.Tensor:
        depths.append(attention.STATE.depth)
        return LEAKS[leak](result)

    model.model.norm.register_forward_hook(leaking)
    speed = speed_up(model, config(), device="cpu")
    assert not speed.packed
    assert max(depths) > 0
    depths.clear()
    model(**laid_out(tokens(4, 3)))
    assert depths == [0]  # nothing watches it any longer


def test_a_window_that_the_attention_is_not_told_about_is_not_packed() -> None:
    model = made_model("qwen2 windows", sliding_window=40)  # more than the documents of the trial
    assert speed_up(copy.deepcopy(model), config(), device="cpu").packed
    for block in model.model.layers:
        block.self_attn.sliding_window = None
    speed = speed_up(model, config(), device="cpu")
    assert not speed.packed
    assert "windows" in speed.lines[0]


class Broken(LlamaForCausalLM):  # type: ignore[misc]  # transformers has no types
    """A model that does not take what others take."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("forward() takes what it likes")


def test_a_model_that_breaks_in_the_trial_goes_on_the_plain_way() -> None:
    model = Broken(made_model("llama").config)
    speed = speed_up(model, config(), device="cpu")
    assert not speed.packed
    assert not speed.fused
    assert "TypeError" in speed.lines[0]
    assert type(model.get_output_embeddings()) is torch.nn.Linear


def test_what_the_settings_say_is_done() -> None:
    plain = speed_up(made_model("llama"), config(packing=False, fused_loss=False), device="cpu")
    assert (plain.packed, plain.fused, plain.compiled) == (False, False, False)
    assert "packing is false" in plain.lines[0]
    assert "fused_loss is false" in plain.lines[1]
    eager = replace(config(), model=ModelConfig(attn_implementation="eager"))
    assert not speed_up(made_model("llama"), eager, device="cpu").packed
    smooth = config(more={"label_smoothing_factor": 0.1})
    assert not speed_up(made_model("llama"), smooth, device="cpu").fused


def test_doing_it_twice_is_doing_it_once() -> None:
    model = made_model("llama")
    ids = tokens(6)[0]
    first = speed_up(model, config(), device="cpu")
    true = model(input_ids=ids).logits
    second = speed_up(model, config(), device="cpu")
    assert (second.packed, second.fused) == (True, True)
    assert second.head is model.get_output_embeddings()
    assert second.head is not first.head
    assert torch.equal(model(input_ids=ids).logits, true)


def test_several_gpus_in_one_process_get_neither_the_head_nor_compiled_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    speed = speed_up(
        made_model("llama"), config(packing=False, compile_blocks=True), device="cuda"
    )
    assert not speed.fused
    assert not speed.compiled
    assert all("torchrun" in line for line in speed.lines[1:])


def test_weights_that_are_not_loaded_cannot_be_tried() -> None:
    with torch.device("meta"):
        model = LlamaForCausalLM(made_model("llama").config)
    speed = speed_up(model, config(), device="cpu")
    assert not speed.packed
    assert not speed.fused


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_model_with_an_adapter_is_packed_and_fused() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(made_model("llama", torch.float64), settings)
    documents = tokens(6, 5)
    loss = mean_nll(model, documents)
    speed = speed_up(model, config(), device="cpu")
    assert speed.packed
    assert speed.head is not None
    with speed.head.told(labels_of(documents)) as told:
        outputs = model(**laid_out(documents))
    assert (told.sum(outputs) / told.tokens).item() == pytest.approx(loss.item(), rel=1e-6)


def test_compiling_is_for_runs_on_a_gpu_that_are_long_enough() -> None:
    size, tokens_of_step = 500_000_000, 32_768.0
    long = compiling.run_seconds(size, 2_000, tokens_of_step)
    short = compiling.run_seconds(size, 20, tokens_of_step)
    assert compiling.worthwhile(None, GPU, long).compiled
    assert not compiling.worthwhile(None, GPU, short).compiled
    assert not compiling.worthwhile(None, GPU, None).compiled
    assert not compiling.worthwhile(None, CPU, long).compiled
    assert compiling.worthwhile(True, CPU, None).compiled
    assert not compiling.worthwhile(False, GPU, long).compiled


def test_the_blocks_are_the_longest_list_of_modules_of_one_class() -> None:
    model = made_model("llama")
    assert compiling.blocks(model) == list(model.model.layers)
    mixture = made_model("mixtral", num_local_experts=8)
    assert compiling.blocks(mixture) == list(mixture.model.layers)
    assert compiling.blocks(torch.nn.Linear(2, 2)) == []


def kernel(*, groups: bool = True, factor: float = 1.0) -> Callable[..., torch.Tensor]:
    """Return what looks like the GPU's kernel."""

    def attended(q: Any, k: Any, v: Any, ends: Any, *args: Any, **how: Any) -> torch.Tensor:
        if q.shape[1] != k.shape[1] and not groups:
            raise RuntimeError("as many key heads as query heads\nare wanted")
        left, right = how["window_size"]
        assert right == 0
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        found = dense(q, k, v, ends, None if left < 0 else left + 1, how["scale"])
        return factor * found[0].transpose(0, 1)

    return attended


@pytest.mark.parametrize(
    ("made", "native", "problem"),
    [
        (kernel(), True, None),
        (kernel(groups=False), False, None),
        (kernel(factor=1.1), False, "wrong numbers"),
    ],
    ids=["groups", "no groups", "wrong"],
)
def test_the_kernel_is_tried_with_groups_of_heads_and_windows_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch, made: Any, native: bool, problem: str | None
) -> None:
    monkeypatch.setattr(attention, "varlen_attn", made)
    monkeypatch.setattr(attention, "runs_on_kernel", lambda *args: True)
    monkeypatch.setitem(attention.GROUPED, "native", False)  # as before torch 2.12
    seen = attention.Seen(heads={(4, 2, 16, 16)}, windows={None, 30})
    found = attention_check.kernel_problem(seen, CPU, torch.bfloat16)
    assert found is None if problem is None else problem in str(found)
    assert attention.GROUPED["native"] is native


def test_what_the_kernel_cannot_do_is_said_without_trying_it() -> None:
    for seen, dtype, words in (
        (attention.Seen(heads={(4, 2, 64, 64)}), torch.float32, "needs bf16"),
        (attention.Seen(heads={(4, 2, 64, 64)}, dropout=0.1), torch.bfloat16, "dropout"),
        (attention.Seen(heads={(4, 2, 512, 512)}), torch.bfloat16, "width 512"),
        (attention.Seen(heads={(4, 2, 192, 128)}), torch.bfloat16, "width 192"),
    ):
        assert words in str(attention_check.kernel_problem(seen, GPU, dtype))


@pytest.mark.long
def test_two_processes_get_the_gradients_of_one_under_ddp_and_fsdp(tmp_path: Path) -> None:
    run_ranks(Path(__file__).parent / "two_fused_processes.py", tmp_path)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # the compiler looks at everything, deprecated or not
def test_compiled_blocks_give_the_gradients_of_eager_ones_and_compile_once() -> None:
    model = made_model("qwen2").train()
    speed = speed_up(model, config(), device="cpu")
    assert speed.head is not None
    rows = [tokens(5, 9, 3), tokens(7, 4), tokens(20, 3, 3, 9)]

    def all_gradients() -> list[dict[str, torch.Tensor]]:
        found: list[dict[str, torch.Tensor]] = []
        for documents in rows:
            with speed.head.told(labels_of(documents)) as told:  # type: ignore[union-attr]
                outputs = model(**laid_out(documents))
            found.append(gradients(model, told.sum(outputs)))
        return found

    true = all_gradients()
    keys = list(model.state_dict())
    assert compiling.compile_blocks(model) == 2
    assert list(model.state_dict()) == keys
    with torch.compiler.set_stance("default"):
        first = all_gradients()
    with torch.compiler.set_stance("fail_on_recompile"):
        again = all_gradients()
    for found in (first, again):
        for a, b in zip(found, true, strict=True):
            assert_close(a, b, 1e-4)
