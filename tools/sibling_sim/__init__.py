"""Fleets that do not exist, to see how often the comparison with siblings is right and wrong."""
