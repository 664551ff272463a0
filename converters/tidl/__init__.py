"""Driving TI's TIDL compiler for the C7x accelerator, which the user supplies."""
