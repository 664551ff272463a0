"""Configuration from afar: what may be taken, what it changes, and what the box answers."""
