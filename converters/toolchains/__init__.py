"""Converter tools whose pinned packages conflict: each in an environment of its own, as a subprocess with JSON."""
