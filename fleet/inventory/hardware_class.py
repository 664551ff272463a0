"""Which hardware class a box is of: what one release is judged on together. The same facts give the same class.

The first row that fits decides:

=================================  ====================================  =====================
the box has                        its class                             for example
=================================  ====================================  =====================
fact ``jetpack``                   jetson, its GPU's, JetPack's          ``jetson-sm87-jp6``
fact ``gpu.sm``                    its processor's, its GPU's            ``x86_64-sm89``
fact ``soc``                       the chip                              ``rk3588``
fact ``intel.npu``                 its processor's with ``-npu``         ``x86_64-vnni-npu``
fact ``arch`` is ``x86_64``        and the best of amx, vnni, avx2, sse  ``x86_64-vnni``
fact ``arch``                      that                                  ``aarch64``
none of them                       ``unknown``
=================================  ====================================  =====================

Boxes of one class run the same artifacts about equally fast; a class that said more (memory, driver) would have too
few boxes to judge a release by.
"""

from __future__ import annotations

import re

from contracts.facts import Facts, version_key
from fleet.inventory.device import UNKNOWN_CLASS

_TIERS = (("amx", ("amx_int8",)), ("vnni", ("avx512_vnni", "avx_vnni")), ("avx2", ("avx2",)))
"""Best first; what each is known by in the fact ``cpu.isa``, names of `runtime.instruction_sets`."""

_LONGEST = 64


def hardware_class(facts: Facts) -> str:
    """The class: 1 to 64 of a-z, 0-9, ``_`` and ``-``."""
    return _slug(_class(facts)) or UNKNOWN_CLASS


def _class(facts: Facts) -> str:
    sm = f"sm{facts['gpu.sm']}" if "gpu.sm" in facts else ""
    if "jetpack" in facts:
        major = version_key(facts["jetpack"])[:1]
        return "-".join(part for part in ("jetson", sm, f"jp{major[0]}" if major else "") if part)
    if sm:
        return f"{facts.get('arch', UNKNOWN_CLASS)}-{sm}"
    if "soc" in facts:
        return str(facts["soc"])
    return _processor(facts) + ("-npu" if facts.get("intel.npu") else "")


def _processor(facts: Facts) -> str:
    arch = str(facts.get("arch", ""))
    if arch != "x86_64":
        return arch
    isa = facts.get("cpu.isa")
    known = isa if isinstance(isa, tuple) else ()
    return f"{arch}-{next((tier for tier, names in _TIERS if set(names) & set(known)), 'sse')}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:_LONGEST]
