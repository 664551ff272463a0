"""``edgetally-agent doctor``: what is wrong with this box, and the command that mends it."""
