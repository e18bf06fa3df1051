"""Data loaders whose batches are rows made up beforehand, the same way on every process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from accelerate.data_loader import prepare_data_loader  # type: ignore[import-untyped]
from torch.utils.data import DataLoader

from ftadvise_trainer.data.batches import ByRow, Plan, RowSampler, StepSampler, lengths_of
from ftadvise_trainer.data.collate import GroupCollator, PackedCollator
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.workers import obeying_parent

if TYPE_CHECKING:
    from torch.utils.data import Sampler

    from ftadvise_trainer.data.packing import Layout, Row


def train_loader(dataset: Any, layout: Layout, args: Any, accelerator: Any) -> Any:
    """Return a loader of the rows of this process, a batch for each optimizer step.

    Args:
        dataset: Train examples.
        layout: How they are laid out; its `batch_size` is given.
        args: `TrainingArguments`.
        accelerator: That of the trainer.

    Raises:
        TrainError: FT501, the examples are to be ordered otherwise than at random or as they are.
    """
    kind = str(args.train_sampling_strategy)
    if kind not in ("random", "sequential"):
        raise TrainError(
            f"training.train_sampling_strategy {kind} does not go with training.batch_size",
            hint="Leave it out: rows of about the same length are made without it.",
        )
    plan = Plan(
        lengths_of(dataset),
        layout,
        seed=args.seed if args.data_seed is None else args.data_seed,
        ranks=accelerator.num_processes,
        shuffled=kind == "random",
    )
    sampler = StepSampler(plan, accelerator.process_index)
    return _loader(dataset, sampler, layout, args, accelerator, args.dataloader_persistent_workers)


def eval_loader(dataset: Any, layout: Layout, args: Any, accelerator: Any) -> Any:
    """Return a loader of the whole of `dataset` in packed rows; each process has as many.

    Args:
        dataset: Examples.
        layout: How they are laid out; its `row_tokens` is given.
        args: `TrainingArguments`.
        accelerator: That of the trainer.
    """
    budget, ranks = layout.row_tokens or 1, accelerator.num_processes
    sampler = RowSampler(lengths_of(dataset), budget, ranks, accelerator.process_index)
    return _loader(dataset, sampler, layout, args, accelerator, persistent=False)


def follow(maker: Any, layout: Layout) -> None:
    """Have what makes the rows of a training make those of `layout` from now on.

    What has been fetched ahead stays as it is. Workers that collate hear of it when they are
    started for the next epoch.

    Args:
        maker: A loader, as `train_loader` gives it, or the `PackedCollator` of another; a loader
            of any other kind is left alone.
        layout: Like that of the maker, with other `row_tokens`.
    """
    sampler: Any = getattr(maker, "batch_sampler", None)
    if isinstance(sampler, StepSampler):
        sampler.plan = replace(sampler.plan, layout=layout)
    collator: Any = getattr(maker, "collate_fn", maker)
    if isinstance(collator, PackedCollator):
        collator.layout = layout


def can_be_packed(dataset: Any) -> bool:
    """Return whether a dataset has a length and gives its examples by their places."""
    return hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")


def _loader(
    dataset: Any,
    sampler: Sampler[list[Row]],
    layout: Layout,
    args: Any,
    accelerator: Any,
    persistent: bool,
) -> Any:
    on_gpu = accelerator.device.type == "cuda"
    workers = int(args.dataloader_num_workers)
    loader = DataLoader(
        cast("Any", ByRow(dataset)),
        batch_sampler=cast("Any", sampler),
        collate_fn=GroupCollator(layout) if layout.row_tokens is None else PackedCollator(layout),
        num_workers=workers,
        prefetch_factor=args.dataloader_prefetch_factor if workers else None,
        persistent_workers=persistent and workers > 0,
        pin_memory=bool(args.dataloader_pin_memory) and on_gpu,
    )
    # As for a single process: the sampler knows what the others have. What comes from pinned
    # memory is copied while the device still computes the step before.
    return obeying_parent(
        prepare_data_loader(
            loader,
            accelerator.device,
            num_processes=1,
            process_index=0,
            put_on_device=True,
            non_blocking=on_gpu,
        )
    )
