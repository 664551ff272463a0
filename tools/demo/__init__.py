"""``make demo``: convert the shipped model for this box, run the agent on a camera and a broker, watch the counts."""
