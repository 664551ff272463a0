"""Points of one thing, as numbers or as heat maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from contracts.output_spec import LandmarksOutput
from runtime.decoders.boxes import Floats, points_in_picture
from runtime.decoders.outputs import finite, only_output, the_only, written
from runtime.decoders.scores import check_scores, probabilities
from runtime.prepare import Placement
from runtime.results import Landmarks, Tensors

_FARTHEST = 4.0  # inputs away: no share of the input
_TOWARDS = 0.25  # of a cell, to the higher neighbour (Newell et al. 2016, "Stacked Hourglass Networks", 3.3)


class LandmarksDecoder:
    """Reads one output with a point for each of the model's labels.

    As ``points``: ``(1, 2k)``, ``(1, k, 2)`` or ``(1, k, 3)``, the third being the point's score; dimensions of 1 more
    do not matter. As ``heat-maps``: ``(1, k, h, w)``, whose highest cell is the point, moved a quarter of a cell to its
    higher neighbour, and whose height is the score.

    Args:
        spec: the model.
        score: instead of the model's own threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        assert isinstance(spec.output, LandmarksOutput)
        self._output = spec.output
        self._score = score or spec.output.score
        self._k = len(spec.labels)
        self._size = np.array([spec.input.width, spec.input.height], np.float32)

    def decode(self, outputs: Tensors, placement: Placement) -> Landmarks:
        """The points, in the order of the labels."""
        maps = self._output.layout == "heat-maps"
        shares, scores = self._peaks(outputs) if maps else self._points(outputs)
        visible = np.ones(self._k, np.bool_) if scores is None else scores >= self._score
        return Landmarks(points_in_picture(shares, placement), scores, visible)

    def _points(self, outputs: Tensors) -> tuple[Floats, Floats | None]:
        """Points ``(k, 2)`` in 0 to 1 of the input, and their scores ``(k,)``."""
        name, value = the_only(outputs, "landmarks")
        k, sizes = self._k, tuple(size for size in value.shape if size != 1)
        fitting = [columns for columns in (2, 3) if sizes in _written_as(k, columns)]
        if len(fitting) != 1:
            raise ArtifactError(
                f"layout 'points' with {k} labels expects output {name!r} as 1x{2 * k}, 1x{k}x2 or 1x{k}x3, the model "
                f"gives {written(value.shape)}; check layout and labels in model.toml"
            )
        (columns,) = fitting
        rows = finite(name, value).reshape(k, columns)
        points = rows[:, 1::-1] if self._output.axes == "yx" else rows[:, :2]
        if self._output.unit == "pixels":
            points = points / self._size
        elif float(np.abs(points).max()) > _FARTHEST:
            raise ArtifactError(
                f"points should be in 0 to 1 of the input, got {float(np.abs(points).max()):.4g}; "
                "say unit = 'pixels' in model.toml if they are pixels of the input"
            )
        if columns == 2:  # noqa: PLR2004 - x and y
            return points, None
        check_scores("the points' scores", rows[:, 2], "probabilities")
        return points, probabilities(rows[:, 2], "probabilities")

    def _peaks(self, outputs: Tensors) -> tuple[Floats, Floats]:
        """Points ``(k, 2)`` in 0 to 1 of the input, and the height ``(k,)`` of the map there."""
        maps = only_output(outputs, "landmarks", (1, self._k, None, None))[0]
        rows, columns = maps.shape[1:]
        if not rows * columns:
            raise ArtifactError(f"decoder 'landmarks' expects heat maps with cells, got {rows}x{columns}")
        peaks = maps.reshape(self._k, -1).argmax(axis=1)
        y, x = np.divmod(peaks, columns)
        points = np.arange(self._k)
        across = np.stack([_slope(maps[points, y], x), _slope(maps[points, :, x], y)], axis=1)
        corner = 0.5 if self._output.origin == "centre" else 0.0
        cells = np.stack([x, y], axis=1) + corner + _TOWARDS * across
        shares = cells / np.array([columns, rows], np.float32)
        return np.asarray(shares, np.float32), maps[points, y, x].copy()


def _written_as(k: int, columns: int) -> set[tuple[int, ...]]:
    """The shapes, without dimensions of 1, of so many points; three numbers a point come as rows only."""
    rows = {tuple(size for size in (k, columns) if size != 1)}
    return rows | {(k * columns,)} if columns == 2 else rows  # noqa: PLR2004 - x and y


def _slope(lines: Floats, peaks: NDArray[np.intp]) -> Floats:
    """For each line ``(k, n)``: 1 where what follows the peak is higher than what precedes it, -1 where lower."""
    which, last = np.arange(len(lines)), lines.shape[1] - 1
    inside = (peaks > 0) & (peaks < last)
    after, before = lines[which, np.minimum(peaks + 1, last)], lines[which, np.maximum(peaks - 1, 0)]
    return np.asarray(np.where(inside, np.sign(after - before), 0), np.float32)
