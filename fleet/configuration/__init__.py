"""What boxes should be configured as: layers over one another, and what a change of one of them does; pure rules."""
