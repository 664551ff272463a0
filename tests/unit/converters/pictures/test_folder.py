"""A folder's labels are taken as written or refused with the row; a picture without one has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import DocumentError
from converters.pictures.folder import folder_items


def labelled(folder: Path, table: str | None = None, names: tuple[str, ...] = ("a.png", "b.JPG", "c.bmp")) -> Path:
    (folder / "images").mkdir(parents=True)
    for name in names:
        (folder / "images" / name).write_bytes(name.encode())
    if table is not None:
        (folder / "counts.csv").write_text(table, encoding="utf-8")
    return folder


@pytest.mark.parametrize("place", [".", "images"])
def test_pictures_are_taken_by_name_and_nothing_else_is(place: str, tmp_path: Path) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    for name in ("b.png", "a.JPG", "notes.txt", "Thumbs.db"):
        (folder / name).write_bytes(name.encode())
    (folder / "not-a-file.png").mkdir()
    items = folder_items(tmp_path)
    assert [item.name for item in items] == ["a.JPG", "b.png"]
    assert {item.count for item in items} == {None}
    assert {item.clip for item in items} == {None}


def test_the_digest_is_of_the_file_so_that_a_copy_is_known_by_it(tmp_path: Path) -> None:
    for name, content in (("a.png", b"one"), ("b.png", b"one"), ("c.png", b"two")):
        (tmp_path / name).write_bytes(content)
    one, copy, other = folder_items(tmp_path)
    assert one.digest == copy.digest != other.digest


@pytest.mark.parametrize("column", ["vehicle_count", "count"])
def test_a_table_gives_counts_clips_and_which_serve_for_calibration_only(column: str, tmp_path: Path) -> None:
    table = f"file,clip,{column},split\na.png,north,3,\nb.JPG,south,0,calibration-only\n"
    one, two, three = folder_items(labelled(tmp_path, table))
    assert (one.count, one.clip, one.calibration_only) == (3.0, "north", False)
    assert (two.count, two.clip, two.calibration_only) == (0.0, "south", True)
    assert (three.count, three.clip) == (None, None), "not in the table"


def test_a_table_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / "counts.csv").write_bytes("\ufefffile,count\r\na.png,2.5\r\n".encode())
    assert folder_items(folder)[0].count == 2.5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,count\na.png,1\n", "expected columns 'file' and 'vehicle_count' or 'count', got name, count"),
        ("file,boxes\na.png,1\n", "got file, boxes"),
        ("", "got none"),
        ("file,count\na.png,-1\n", "a.png: expected a count of 0 or more, got '-1'"),
        ("file,count\na.png,nan\n", "a.png: expected a count of 0 or more, got 'nan'"),
        ("file,count\na.png,inf\n", "got 'inf'"),
        ("file,count\na.png,many\n", "got 'many'"),
        ("file,count\na.png\n", "got None"),
        ("file,count\nd.png,1\ne.png,2\n", "names 2 pictures that are not there, 'd.png' first"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_is_wrong(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=said):
        folder_items(labelled(tmp_path, table))


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / "counts.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(DocumentError, match="write it as UTF-8"):
        folder_items(folder)


def test_boxes_are_counted_and_an_empty_file_says_that_nothing_is_there(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n2 0.2 0.2 0.1 0.1\n\n")
    (folder / "labels" / "b.txt").write_text("")
    assert [item.count for item in folder_items(folder)] == [2.0, 0.0, None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(content=st.text(max_size=120) | st.binary(max_size=120))
def test_whatever_stands_in_the_table_is_taken_or_refused_in_one_sentence(content: str | bytes, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    if not folder.exists():
        labelled(folder)
    head = b"file,count\n"
    (folder / "counts.csv").write_bytes(
        head + (content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    )
    sentence = ""
    try:
        items = folder_items(folder)
    except DocumentError as error:
        sentence = str(error)
    else:
        assert len(items) == 3
    assert "\n" not in sentence
