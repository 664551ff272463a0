"""Letting boxes into the fleet: tokens, an authority that signs their certificates, and the end of a box."""
