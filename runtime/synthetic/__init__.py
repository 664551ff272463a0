"""The parts of `runtime.synthetic_road`: settings, scene, traffic, truth, and the painting of pictures.

Everything here must give the same bytes on every machine. So only operations whose result IEEE 754 or NumPy's
contract fixes are used: ``+ - * /``, ``sqrt``, comparisons, integers, ``Generator.random`` and
``Generator.integers``. No ``sin``, ``exp``, ``hypot``, ``interp``, ``dot``, ``uniform`` or ``normal``: those
differ by one unit in the last place between SIMD widths, C libraries and processors with fused multiply-add.
"""
