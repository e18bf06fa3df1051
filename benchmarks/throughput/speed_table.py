"""What the variants measured, as a table for people."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "model",
    "variant",
    "tokens/s",
    "median",
    "MFU 6N",
    "with att.",
    "step ms",
    "tokens",
    "GB",
    "",
)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table, one for each variant."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(COLUMNS))]
    told = ["| " + " | ".join(_padded(line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [told[0], rule, *told[1:]]


def _padded(line: tuple[str, ...], widths: list[int]) -> list[str]:
    words = (0, 1, len(widths) - 1)
    return [
        cell.ljust(width) if place in words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return (row["model"], row["name"], *[""] * 7, row["error"][:90])
    return (
        row["model"],
        row["name"],
        f"{row['tokens_per_second']:,.0f}",
        f"{row['median_rate']:,.0f}",
        _share(row.get("mfu")),
        _share(row.get("mfu_with_attention")),
        f"{row['median_step_ms']:.1f}",
        f"{row['tokens_per_step']:,.0f}",
        f"{row['peak_memory_gb']:.1f}" if row.get("peak_memory_gb") else "",
        row["what"] + _smaller(row),
    )


def _smaller(row: dict[str, Any]) -> str:
    """Say that the batch had to be made smaller than the words say."""
    batch, wanted = (row.get("options") or {}).get("batch"), row.get("batch_wanted")
    return f" (batch {batch}: out of memory above)" if batch and batch != wanted else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def differences(rows: list[dict[str, Any]]) -> list[str]:
    """Return, for variants that saw the same batches, how far their losses lie apart."""
    by_key: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("same") and "error" not in row:
            by_key.setdefault((row["model"], row["same"]), []).append(row)
    told: list[str] = []
    for group in by_key.values():
        first = group[0]
        told += [_apart(first, other) for other in group[1:]]
    return told


def _apart(first: dict[str, Any], other: dict[str, Any]) -> str:
    pairs = list(zip(first["losses"], other["losses"], strict=False))
    same = all(a == b for a, b in zip(first["tokens"], other["tokens"], strict=False))
    most = max(abs(b / a - 1.0) for a, b in pairs)
    tokens = "" if same else "; NOT the same tokens"
    return (
        f"losses of {other['name']} beside {first['name']}, {len(pairs)} steps "
        f"({pairs[0][0]:.4f} to {pairs[-1][0]:.4f}): apart by {most:.1e} at most{tokens}"
    )
