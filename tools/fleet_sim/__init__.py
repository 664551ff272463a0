"""Thousands of simulated boxes that speak the real protocol, and what a bad model does to them."""
