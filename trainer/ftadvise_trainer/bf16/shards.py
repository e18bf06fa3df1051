"""Where the part of a parameter that one process holds lies in the whole (FSDP2's DTensor).

Only attributes that tensor and placements make public are asked for, so that torch.distributed
need not be imported where there is one process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def local(tensor: Any) -> torch.Tensor:
    """Return this process's part of a DTensor, which shares its memory; others as they are."""
    part: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def first_element(tensor: Any) -> int:
    """Return the number that the first element here has in the whole tensor.

    It is known where at most one dimension of the mesh shards, and along the tensor's first
    dimension, as FSDP2 does with and without replicas. Else it is 0, and `replica` tells the
    parts apart.
    """
    found = _rows_by(tensor)
    if found is None:
        return 0
    size, rank = found
    rows = tensor.shape[0]
    per_process = -(-rows // size)  # as torch.chunk cuts: all of this size but the last ones
    begin = min(per_process * rank, rows)
    return int(begin * (tensor.numel() // max(rows, 1)))


def replica(tensor: Any) -> int:
    """Return a number that tells parts apart which `first_element` does not; 0 where it does.

    Processes that hold the same part get the same number.
    """
    if not hasattr(tensor, "to_local") or _rows_by(tensor) is not None:
        return 0
    mesh, number = tensor.device_mesh, 0
    for i, placement in enumerate(tensor.placements):
        if not placement.is_replicate():
            number = number * int(mesh.size(i)) + int(mesh.get_local_rank(i))
    return number << 20  # away from the numbers of other parameters


def _rows_by(tensor: Any) -> tuple[int, int] | None:
    """Return by how many processes the rows are sharded, and which of them this is."""
    if not hasattr(tensor, "to_local"):
        return None
    mesh = tensor.device_mesh
    sharding = [i for i, p in enumerate(tensor.placements) if not p.is_replicate()]
    if not sharding:
        return 1, 0
    if len(sharding) > 1 or type(tensor.placements[sharding[0]]).__name__ != "Shard":
        return None
    dimension = sharding[0]
    if not tensor.placements[dimension].is_shard(0):
        return None
    return int(mesh.size(dimension)), int(mesh.get_local_rank(dimension))
