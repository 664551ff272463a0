"""Decoders: raw outputs of one model family to results; they know no inference runtime."""
