"""The box's own page: what the cameras see, how the box runs, its metrics, and where lines and zones are drawn."""
