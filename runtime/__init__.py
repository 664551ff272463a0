"""Running a model, the same on host and device: prepare, backends, decoders, golden check, metrics.

Importing this package loads no inference runtime; a backend's own module does, when it is opened.
"""
