"""``make bench``: the agent beside the bare runtime, in one run; ratios travel between machines, figures do not."""
