"""The trees of boards, written below a root as the board has them."""

from __future__ import annotations

from pathlib import Path

BOARDS = Path(__file__).parent / "boards"


def tree(root: Path, board: str) -> Path:
    """The board's files; in the device tree's, names end with a zero byte instead of a line."""
    files = [file for file in (BOARDS / board).rglob("*") if file.is_file()]
    assert files, f"no tree of {board}"
    for file in files:
        path = root / file.relative_to(BOARDS / board)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes()
        path.write_bytes(content.replace(b"\n", b"\0") if "device-tree" in file.parts else content)
    return root
