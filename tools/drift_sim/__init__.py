"""How often drift warnings are wrong, and how long they take: simulated months of traffic, and real clips blurred."""
