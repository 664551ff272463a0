"""Releasing models: keys, the repository that boxes fetch from, and the signatures that they check."""
