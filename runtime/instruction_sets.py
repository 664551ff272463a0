"""Instruction sets that a runtime's kernels ask for, as /proc/cpuinfo names them. Pure."""

from __future__ import annotations

import re

INSTRUCTION_SETS = frozenset(
    (
        *("avx", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_int8", "amx_bf16", "fma", "sse4_2"),
        *("asimd", "asimdhp", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2"),
    )
)
"""x86 flags and Arm features (Linux: arch/x86/include/asm/cpufeatures.h, Documentation/arch/arm64/elf_hwcaps.rst)."""


def instruction_sets(cpuinfo: str) -> tuple[str, ...]:
    """Those that the first processor has, sorted; none where the text tells nothing.

    Args:
        cpuinfo: what /proc/cpuinfo holds.
    """
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return tuple(sorted(INSTRUCTION_SETS & set(flags[1].split()))) if flags else ()
