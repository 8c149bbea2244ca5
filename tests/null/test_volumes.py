"""Volumes: texts come back byte for byte, lines are where they are, a torn tail is cut off.

Does not cover: a killed writer (`tests/chaos/test_ingest_kill.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefire.errors import StoreDamaged
from homefire.knowledge.volumes import EVERY, End, Place, Volumes, VolumeWriter

TEXTS = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"word ", b"\0", b"\xff"]), max_size=400).map(b"".join),
    ),
    max_size=8,
)


@given(TEXTS, st.integers(1, 2000))
def test_what_went_in_comes_out(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], full: int) -> None:
    folder = tmp_path_factory.mktemp("volumes")
    writer = VolumeWriter(folder, {}, full)
    places = [writer.append(text) for text in texts]
    writer.sync()
    reader = Volumes(folder)
    for text, place in zip(texts, places, strict=True):
        if text:
            assert reader.read(place) == text == bytes(reader.view(place))
        lines = text.split(b"\n")
        if lines[-1] == b"" and len(lines) > 1:
            lines.pop()
        assert place.lines == len(lines)
        at = 0
        for number, line in enumerate(lines, 1):
            if not text:
                continue
            assert reader.line_start(place, number) == at
            assert reader.line_of(place, at) == reader.line_of(place, at + len(line)) == number
            at += len(line) + 1
        if text:
            assert reader.line_start(place, len(lines) + 1) == len(text)
    writer.close()
    reader.close()


def test_a_tail_is_cut_off_and_the_next_text_follows_the_last_that_counts(tmp_path: Path) -> None:
    writer = VolumeWriter(tmp_path, {})
    kept = writer.append(b"kept\n" * 40)
    ends = writer.sync()
    writer.append(b"lost\n" * 40)
    writer.sync()
    writer.close()
    again = VolumeWriter(tmp_path, ends)
    assert (tmp_path / "000000.text").stat().st_size == ends[0].text
    assert (tmp_path / "000000.lines").stat().st_size == ends[0].lines
    place = again.append(b"new")
    again.sync()
    assert place.start == kept.size
    reader = Volumes(tmp_path)
    assert reader.read(place) == b"new" and reader.read(kept) == b"kept\n" * 40
    assert reader.line_start(kept, EVERY + 3) == 5 * (EVERY + 2)
    again.close()
    VolumeWriter(tmp_path, {}).close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_too_short_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreDamaged, match=r"000000\.text is missing"):
        VolumeWriter(tmp_path, {0: End(5, 4)})
    (tmp_path / "000000.text").write_bytes(b"abc")
    with pytest.raises(StoreDamaged, match="3 bytes; 5"):
        VolumeWriter(tmp_path, {0: End(5, 4)})
    with pytest.raises(StoreDamaged, match="3 bytes; 9"):
        Volumes(tmp_path).read(Place(0, 0, 9, 1, 0))


def test_a_growing_file_is_mapped_anew(tmp_path: Path) -> None:
    writer, reader = VolumeWriter(tmp_path, {}), Volumes(tmp_path)
    for number in range(5):
        place = writer.append(f"text {number}\n".encode())
        writer.sync()
        assert reader.read(place, 5, 6) == str(number).encode()
    writer.close()
