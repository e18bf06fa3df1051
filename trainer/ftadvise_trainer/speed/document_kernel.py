"""Causal attention over documents that lie end to end, as kernels of Triton's.

torch's kernel for documents gives each of them blocks of 128 x 128 of its own: of a document of 200
tokens, most of what it computes is masked away. Here blocks are cut from the whole row, short
documents share one, and a block looks back only to where the document of its first token begins.
Key heads are shared by query heads as they are, forward and backward, and the same numbers go in
and come out each time, to the bit.

After Dao, "FlashAttention-2", 2023: the forward pass keeps the logarithm of each row's sum, and the
backward pass computes the weights again, once for queries and once for keys and values.

Every kernel takes the strides of its tensors by token and by head; their last axis has no gaps.
`WHOLE` says that the tokens are a multiple of every block. Triton comes with torch on a GPU; this
module is imported only there, by `document_attention`.
"""

# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportOptionalOperand=false, reportIndexIssue=false

from __future__ import annotations

import triton
import triton.language as tl

_LOWEST = tl.constexpr(-1.0e30)  # finite: the difference of two infinities is no number
_LAST = tl.constexpr(2147483647)


@triton.jit
def bounds_kernel(
    ends, first, last, tokens, documents, window, HALVINGS: tl.constexpr, SIZE: tl.constexpr
):
    """Find the first token that each token sees, and the last that sees it."""
    token = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    low = tl.zeros((SIZE,), tl.int32)
    high = low + documents - 1
    for _ in tl.static_range(HALVINGS):  # for the last document that begins at it or before
        middle = (low + high + 1) // 2
        begun = tl.load(ends + middle) <= token
        low = tl.where(begun, middle, low)
        high = tl.where(begun, high, tl.maximum(middle - 1, low))
    inside = token < tokens
    tl.store(first + token, tl.maximum(tl.load(ends + low), token - window + 1), mask=inside)
    tl.store(last + token, tl.minimum(tl.load(ends + low + 1), token + window) - 1, mask=inside)


@triton.jit
def _tile(base, step, row, inner, width, tokens, WHOLE: tl.constexpr):
    """Load rows of one head: (rows, width), zeros outside of the row.

    `inner` are the places in the tile, `row` its first token: what is added to each address is the
    same in every turn of a loop.
    """
    at = base + tl.cast(row, tl.int64) * step + (inner[:, None] * step + width[None, :])
    if WHOLE:
        return tl.load(at)
    return tl.load(at, mask=(row + inner < tokens)[:, None], other=0.0)


@triton.jit
def _column(base, at, tokens, other, WHOLE: tl.constexpr):
    if WHOLE:
        return tl.load(base + at)
    return tl.load(base + at, mask=at < tokens, other=other)


@triton.jit
def _sees(column, begin, row):
    """Return whether `begin <= column <= row`, in one comparison: what is below zero is high."""
    return (column - begin).to(tl.uint32, bitcast=True) <= (row - begin).to(
        tl.uint32, bitcast=True
    )


@triton.jit
def forward_kernel(
    query, key, value, out, sums, first,
    query_token, query_head, key_token, key_head, value_token, value_head, out_token, out_head,
    tokens, scale2, GROUP: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Attend: one block of queries of one head."""
    block, head = tl.program_id(0), tl.program_id(1)
    width, inner, across = tl.arange(0, WIDTH), tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    row = block * ROWS + inner
    begin = _column(first, row, tokens, 0, WHOLE)
    q = _tile(query + head * query_head, query_token, block * ROWS, inner, width, tokens, WHOLE)
    keys = key + head // GROUP * key_head
    values = value + head // GROUP * value_head
    # Above what is masked, so that the weight of that is nothing from the first block on.
    highest = tl.full((ROWS,), _LOWEST / 2, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    found = tl.zeros((ROWS, WIDTH), tl.float32)
    low = tl.load(first + block * ROWS) // COLUMNS * COLUMNS
    for start in range(low, tl.minimum(block * ROWS + ROWS, tokens), COLUMNS):
        k = _tile(keys, key_token, start, across, width, tokens, WHOLE)
        v = _tile(values, value_token, start, across, width, tokens, WHOLE)
        seen = _sees((start + across)[None, :], begin[:, None], row[:, None])
        z = tl.where(seen, tl.dot(q, tl.trans(k)), _LOWEST)
        higher = tl.maximum(highest, tl.max(z, 1))
        weight = tl.exp2(z * scale2 - (higher * scale2)[:, None])
        fade = tl.exp2((highest - higher) * scale2)
        total = total * fade + tl.sum(weight, 1)
        found = found * fade[:, None] + tl.dot(weight.to(v.dtype), v)
        highest = higher
    inside = row < tokens
    found = found / tl.where(inside, total, 1.0)[:, None]
    at = out + head * out_head + row[:, None].to(tl.int64) * out_token + width[None, :]
    tl.store(at, found.to(out.dtype.element_ty), mask=inside[:, None])
    tl.store(sums + head * tokens + row, highest * scale2 + tl.log2(total), mask=inside)


@triton.jit
def queries_kernel(
    query, key, value, out, above, of_query, sums, inner, first,
    query_token, query_head, key_token, key_head, value_token, value_head,
    out_token, out_head, above_token, above_head, to_token, to_head, tokens, scale, scale2,
    GROUP: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """Give the gradient of one block of queries of one head, and each row's `out · above`."""
    block, head = tl.program_id(0), tl.program_id(1)
    width, place, across = tl.arange(0, WIDTH), tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    row = block * ROWS + place
    begin = _column(first, row, tokens, 0, WHOLE)
    q = _tile(query + head * query_head, query_token, block * ROWS, place, width, tokens, WHOLE)
    g = _tile(above + head * above_head, above_token, block * ROWS, place, width, tokens, WHOLE)
    top = _column(sums + head * tokens, row, tokens, 0.0, WHOLE)
    o = _tile(out + head * out_head, out_token, block * ROWS, place, width, tokens, WHOLE)
    mean = tl.sum(o.to(tl.float32) * g.to(tl.float32), 1)
    tl.store(inner + head * tokens + row, mean, mask=row < tokens)
    keys = key + head // GROUP * key_head
    values = value + head // GROUP * value_head
    found = tl.zeros((ROWS, WIDTH), tl.float32)
    low = tl.load(first + block * ROWS) // COLUMNS * COLUMNS
    for start in range(low, tl.minimum(block * ROWS + ROWS, tokens), COLUMNS):
        k = _tile(keys, key_token, start, across, width, tokens, WHOLE)
        v = _tile(values, value_token, start, across, width, tokens, WHOLE)
        seen = _sees((start + across)[None, :], begin[:, None], row[:, None])
        z = tl.dot(q, tl.trans(k)) * scale2 - top[:, None]
        weight = tl.where(seen, tl.exp2(z), 0.0)
        slope = weight * (tl.dot(g, tl.trans(v)) - mean[:, None])
        found += tl.dot(slope.to(k.dtype), k)
    at = of_query + head * to_head + row[:, None].to(tl.int64) * to_token + width[None, :]
    tl.store(at, (found * scale).to(of_query.dtype.element_ty), mask=(row < tokens)[:, None])


@triton.jit
def keys_kernel(
    query, key, value, above, of_key, of_value, sums, inner, first, last,
    query_token, query_head, key_token, key_head, value_token, value_head,
    above_token, above_head, to_token, to_head, tokens, scale, scale2,
    GROUP: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """Give the gradients of one block of keys and values of one key head."""
    block, key_of = tl.program_id(0), tl.program_id(1)
    width, place, across = tl.arange(0, WIDTH), tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    column = block * COLUMNS + across
    k = _tile(key + key_of * key_head, key_token, block * COLUMNS, across, width, tokens, WHOLE)
    v = _tile(
        value + key_of * value_head, value_token, block * COLUMNS, across, width, tokens, WHOLE
    )
    sum_k = tl.zeros((COLUMNS, WIDTH), tl.float32)
    sum_v = tl.zeros((COLUMNS, WIDTH), tl.float32)
    low = block * COLUMNS // ROWS * ROWS
    high = tl.load(last + tl.minimum(block * COLUMNS + COLUMNS, tokens) - 1) + 1
    turns = tl.cdiv(high - low, ROWS)
    for turn in range(turns * GROUP):  # over heads and rows in one loop, which is never idle
        head = key_of * GROUP + turn // turns
        start = low + turn % turns * ROWS
        q = _tile(query + head * query_head, query_token, start, place, width, tokens, WHOLE)
        g = _tile(above + head * above_head, above_token, start, place, width, tokens, WHOLE)
        row = start + place
        begin = _column(first, row, tokens, _LAST, WHOLE)
        top = _column(sums + head * tokens, row, tokens, 0.0, WHOLE)
        mean = _column(inner + head * tokens, row, tokens, 0.0, WHOLE)
        seen = _sees(column[:, None], begin[None, :], row[None, :])
        z = tl.dot(k, tl.trans(q)) * scale2 - top[None, :]
        weight = tl.where(seen, tl.exp2(z), 0.0)
        sum_v += tl.dot(weight.to(g.dtype), g)
        slope = weight * (tl.dot(v, tl.trans(g)) - mean[None, :])
        sum_k += tl.dot(slope.to(q.dtype), q)
    at = key_of * to_head + column[:, None].to(tl.int64) * to_token + width[None, :]
    inside = column[:, None] < tokens
    tl.store(of_key + at, (sum_k * scale).to(of_key.dtype.element_ty), mask=inside)
    tl.store(of_value + at, sum_v.to(of_value.dtype.element_ty), mask=inside)
