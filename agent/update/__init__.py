"""Changing the models of a box: fetched, verified, proven and watched, and taken back where they do not do."""
