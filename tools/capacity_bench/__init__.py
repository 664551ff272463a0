"""``make bench-capacity``: how many cameras a box takes, what happens beyond that, and what the agent itself costs."""
