"""``make soak``: weeks of an agent's life in minutes, and whether its memory, files and threads stay what they were."""
