"""Whether a camera still sees and counts as it did: hour by hour, against its own past. Figures: docs/drift.md."""
