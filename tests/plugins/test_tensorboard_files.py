"""The bytes of TensorBoard event files: types, damage, size, and what other programs make of them."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import made_events as made
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_events import event, simple

from ftadvise.errors import LogError
from ftadvise.readers.source import Source
from ftadvise.run import Run
from ftadvise.testing import check_reader
from ftadvise_plugins.tensorboard import crc32c, files, points, records
from ftadvise_plugins.tensorboard.points import Points
from ftadvise_plugins.tensorboard.reader import READER

STEPS = range(1, 31)


def scalars_in(path: Path) -> list[tuple[str, int, float, float]]:
    """Name, step, time and value of every scalar, in the order of the file."""
    found = Points(lambda _: True, lambda _: False)
    batch = found.read([path])
    assert not found.damage.records
    return [
        (found.names[t], s, w, v)
        for t, s, w, v in zip(
            batch.tag.tolist(), batch.step.tolist(), batch.wall.tolist(), batch.value.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def run_of(path: Path) -> Run:
    runs = READER.read(Source(path, files=files.gather(path)))
    assert len(runs) == 1
    return runs[0]


numbers = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e-45, 3.4e38])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train/loss", "loss", "a", "", "Ünïcode", "x" * 300]),
            st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
            st.floats(allow_nan=False),
            numbers,
        ),
        max_size=60,
    ),
    st.sampled_from([1, 7]),
)
def test_what_is_written_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float, float]], many: int
) -> None:
    path = tmp_path_factory.mktemp("log") / made.name()
    made.write(path, [event(s, simple(t, v), wall=w) for t, s, w, v in rows] * many)
    expected = [(t, s, w, v) for t, s, w, v in rows] * many
    found = scalars_in(path)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert [struct.pack("<d", row[3]) for row in found] == [
        struct.pack("<d", np.float32(row[3]))
        if row[3] == row[3]
        else struct.pack("<d", float(np.float32(row[3])))
        for row in expected
    ]


@pytest.mark.parametrize(
    ("kind", "content", "number", "value"),
    [
        (made.FLOAT, struct.pack("<f", 1.5), 4, 1.5),
        (made.FLOAT, struct.pack("<f", 1.5), 5, 1.5),
        (made.DOUBLE, struct.pack("<d", 0.1), 4, 0.1),
        (made.DOUBLE, struct.pack("<d", 0.1), 6, 0.1),
        (made.HALF, struct.pack("<e", 0.1), 4, float(np.float16(0.1))),
        (made.HALF, made.varint(0x3C00), 13, 1.0),
        (made.BFLOAT16, b"\x80\x3f", 4, 1.0),
        (made.BFLOAT16, made.varint(0x3F80), 13, 1.0),
        (made.INT32, struct.pack("<i", -7), 4, -7.0),
        (made.INT32, made.varint(-7), 7, -7.0),
        (made.INT64, struct.pack("<q", 1 << 40), 4, float(1 << 40)),
        (made.INT64, made.varint(300), 10, 300.0),
    ],
)
def test_a_tensor_of_any_type_is_a_scalar(
    tmp_path: Path, kind: int, content: bytes, number: int, value: float
) -> None:
    rows = [event(s, made.tensor("loss", kind, content, number)) for s in range(4)]
    found = scalars_in(made.write(tmp_path, rows))
    assert [(s, v) for _, s, _, v in found] == [(s, value) for s in range(4)]


@pytest.mark.parametrize("largest", [2**20, 2000])
def test_tensors_of_many_numbers_images_and_graphs_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(records, "LARGEST", largest)
    monkeypatch.setattr(records, "PIECE", 1024)
    image = made.field(1, b"image") + made.field(4, made.field(4, b"\x89PNG" * 500))
    two = made.tensor("loss", made.FLOAT, struct.pack("<ff", 1, 2))
    graph = made.record(made.field(4, b"\xff" * 5000))
    rows = [event(1, image), event(1, two), graph, event(2, simple("loss", 5.0))]
    assert [v for *_, v in scalars_in(made.write(tmp_path, rows))] == [5.0]


@pytest.mark.parametrize("events", [3, 20])
def test_merged_summaries_of_many_scalars_are_read(tmp_path: Path, events: int) -> None:
    rows = [
        event(s, *(simple(f"layer_{k}/loss", s + k) for k in range(60))) for s in range(1, events)
    ]
    assert len(rows[0]) > crc32c.BLOCK
    found = scalars_in(made.write(tmp_path, rows))
    assert [(name, v) for name, _, _, v in found] == [
        (f"layer_{k}/loss", s + k) for s in range(1, events) for k in range(60)
    ]


def test_a_step_that_ends_elsewhere_is_another_layout(tmp_path: Path) -> None:
    right = event(300, simple("loss", 1.0))
    data = right[12:-4].replace(made.varint(300), b"\x05\x18")  # step 5, and a field of its own
    assert len(data) == len(right) - 16
    path = made.write(tmp_path, [right, made.record(data), right])
    found = Points(lambda _: True, lambda _: False).read([path])
    assert found.step.tolist() == [300, 300]


@pytest.mark.parametrize("cut", [1, 5, 20, 41])
def test_a_file_that_is_still_written_is_read_up_to_its_last_whole_record(
    tmp_path: Path, cut: int
) -> None:
    path = made.write(tmp_path, [event(s, simple("loss", 1.0)) for s in (10, 20, 30)])
    path.write_bytes(path.read_bytes()[:-cut])
    run = run_of(path)
    assert run.train.step.tolist() == [10, 20]
    assert any("ends in the middle" in note for note in run.notes)


@pytest.mark.parametrize("place", [0, 9, 15, 30, 41])
def test_a_damaged_record_costs_itself_alone(tmp_path: Path, place: int) -> None:
    rows = [event(s, simple("loss", 1.0)) for s in (10, 20, 30, 40, 50)]
    path = made.write(tmp_path, rows)
    whole = bytearray(path.read_bytes())
    start = len(made.version()) + 2 * len(rows[0]) + place
    whole[start] ^= 0x10
    path.write_bytes(whole)
    run = run_of(path)
    assert run.train.step.tolist() == [10, 20, 40, 50]
    assert any("1 record is damaged" in note for note in run.notes)


def test_lengths_are_never_believed(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 60)
    path = made.write(tmp_path, [event(s, simple("loss", 1.0)) for s in (10, 20)])
    path.write_bytes(path.read_bytes() + length + made.masked(length) + b"x" * 50)
    assert run_of(path).train.step.tolist() == [10, 20]
    bad = made.record(made.field(5, made.field(1, b"\x0a\xff\xff\xff\xff\x0f")))
    path.write_bytes(path.read_bytes()[: len(made.version())] + bad)
    with pytest.raises(LogError):
        READER.read(Source(path))


def test_too_many_points_are_thinned_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "MOST_POINTS", 100)
    monkeypatch.setattr(records, "PIECE", 512)
    rows: list[bytes] = []
    for step in range(1, 1001):
        rows.append(event(step, simple("train/loss", step)))
        if step % 100 == 0:
            rows.append(event(step, simple("eval/loss", step)))
    run = run_of(made.write(tmp_path, rows))
    assert 40 <= len(run.train) <= 100
    assert set(np.diff(run.train.step)) == {16.0}
    assert len(run.eval) == 10
    assert any("every 16th" in note for note in run.notes)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 37, 1023, 1024, 1025, 5000])
def test_the_checksum_is_that_of_its_definition(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert crc32c.masked(data).to_bytes(4, "little") == made.masked(data)


def test_the_known_checksum_of_rfc_3720() -> None:
    assert made.crc32c(bytes(32)) == 0x8A9136AA


def test_the_reader_keeps_its_promises(tmp_path: Path) -> None:
    words = event(0, made.text("args", '{"num_train_epochs": 3}'))
    good = made.write(tmp_path / "good" / made.name(), [words, *made.trainer_rows(STEPS)])
    keras = made.write(
        tmp_path / "keras" / made.name(),
        [event(e, made.tensor("epoch_loss", 1, struct.pack("<f", 1))) for e in range(20)],
    )
    other = tmp_path / "data.tfrecord"
    other.write_bytes(made.record(made.field(1, b"features")) * 3)
    check_reader(READER, [good, keras], [made.write(tmp_path / "empty" / "e", []), other])


def test_what_tensorboardx_writes_is_read(tmp_path: Path) -> None:
    tensorboardx = pytest.importorskip("tensorboardX")
    with tensorboardx.SummaryWriter(str(tmp_path)) as writer:
        for step in STEPS:
            writer.add_scalar("train/loss", 1 / step, step)
            writer.add_scalars("loss", {"val": 2 / step}, step)
        writer.add_text("args", '{"num_train_epochs": 2}')
        writer.add_histogram("weights", np.arange(50), 1)
    run = run_of(next(path for path in tmp_path.iterdir() if path.is_file()))
    assert run.train.loss.tolist() == [float(np.float32(1 / s)) for s in STEPS]
    assert (run.eval.key, len(run.eval), run.settings.num_train_epochs) == ("loss/val", 30, 2)


def test_tensorboard_reads_the_same_from_the_same_file(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accumulators = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator"
        )
        path = made.write(tmp_path, made.trainer_rows(range(1, 400)))
        theirs = accumulators.EventAccumulator(str(path), size_guidance={"scalars": 0})
        theirs.Reload()
        expected = {
            (tag, e.step, e.wall_time, e.value)
            for tag in theirs.Tags()["scalars"]
            for e in theirs.Scalars(tag)
        }
    assert set(scalars_in(path)) == expected
