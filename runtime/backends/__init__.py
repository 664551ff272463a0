"""Backends: each opens lanes on one inference runtime, and knows no model family."""
