"""What crosses a boundary: specs, manifests, facts, topics, messages, configuration and errors.

Pure: no file, no socket, no clock and no inference runtime is touched here.
"""
