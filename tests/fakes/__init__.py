"""Fakes implement a port of ours; they never stand where a component could run, and never produce a figure."""
