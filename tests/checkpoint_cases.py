"""Fake checkpoints for tests: small, with a file of each kind that transformers writes."""

from __future__ import annotations

from pathlib import Path

from ftadvise_trainer.saving.checkpoints import best, prune, write_manifest

FILES = {
    "model.safetensors": bytes(range(256)) * 8,
    "config.json": b'{"model_type": "tiny"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "chat_template.jinja": b"{{ messages }}",
    "generation_config.json": b'{"eos_token_id": 2}',
    "optimizer.pt": b"moments" * 100,
    "scheduler.pt": b"schedule",
    "rng_state.pth": b"numbers",
    "training_args.bin": b"arguments",
    "trainer_state.json": b'{"global_step": 0}',
}


def write_files(folder: Path) -> Path:
    """Write the files of a checkpoint, without a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def make_checkpoint(output_dir: Path, step: int, eval_loss: float | None = None) -> Path:
    """Write a valid checkpoint of `step`."""
    folder = write_files(output_dir / f"checkpoint-{step}")
    write_manifest(folder, epoch=step / 10, eval_loss=eval_loss)
    return folder


def save_step_4(output_dir: Path) -> None:
    """Save as a run does into a folder with checkpoints 2 (the best) and 3, which is pruned."""
    new = write_files(output_dir / "checkpoint-4")
    write_manifest(new, eval_loss=0.7)
    prune(output_dir, {new, *best(output_dir, 1)})
