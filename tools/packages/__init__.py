"""Debian packages and archives that bring a box from nothing to a running service without a network."""
