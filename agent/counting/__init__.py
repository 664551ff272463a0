"""Counting: from what a model saw in each frame to what a window reports. Pure: no clock, no file, no thread."""
