"""Trains, measures and exports the repository's default models; run from a checkout as ``python -m tools.zoo``."""
