"""Reading TIDL's log: how much of a network the accelerator got. Pure; the log may hold anything."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST = 1 << 20  # what a graph may plausibly have; larger numbers are not believed

# TFLite: "Number of subgraphs:1 , 34 nodes delegated out of 36 nodes", later "Final number of subgraphs:1 , 34 nodes
# delegated to accelerator"; ONNX Runtime: "Final number of subgraphs created are : 1, - Offloaded Nodes - 25, Total
# Nodes - 25". From the output of edgeai-tidl-tools 8 to 11.
_TFLITE = re.compile(
    r"number of subgraphs\s{0,4}:\s{0,4}(?P<subgraphs>[0-9]{1,9})\s{0,4},\s{0,4}(?P<offloaded>[0-9]{1,9}) "
    r"nodes delegated (?:out of (?P<total>[0-9]{1,9}) nodes|to accelerator)",
    re.IGNORECASE,
)
_ONNX = re.compile(
    r"number of subgraphs created are\s{0,4}:\s{0,4}(?P<subgraphs>[0-9]{1,9}),\s{0,4}-\s{0,4}"
    r"Offloaded Nodes\s{0,4}-\s{0,4}(?P<offloaded>[0-9]{1,9}),\s{0,4}Total Nodes\s{0,4}-\s{0,4}(?P<total>[0-9]{1,9})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Offload:
    """What the accelerator got.

    Args:
        subgraphs: pieces that run on it; each costs a hand-over.
        offloaded: nodes in them.
        total: nodes in all; None where the log does not say.
    """

    subgraphs: int
    offloaded: int
    total: int | None

    @property
    def elsewhere(self) -> int | None:
        """Nodes left to the Arm cores; None where the log does not say."""
        return None if self.total is None else self.total - self.offloaded


def read_log(text: str, nodes: int | None = None) -> Offload | None:
    """The last statement in a log; None where there is none that makes sense.

    Args:
        text: all that the compiler printed.
        nodes: how many nodes the network has, where a statement does not say.
    """
    matches = [*_TFLITE.finditer(text), *_ONNX.finditer(text)]
    for match in sorted(matches, key=lambda match: match.start(), reverse=True):
        said = match["total"]
        found = Offload(int(match["subgraphs"]), int(match["offloaded"]), nodes if said is None else int(said))
        if _is_possible(found):
            return found
    return None


def _is_possible(found: Offload) -> bool:
    total = _MOST if found.total is None else found.total
    return found.offloaded <= total <= _MOST and found.subgraphs <= found.offloaded
