"""Cameras: every kind of source, asked for the size that the model wants, and the thread that keeps it going."""
