"""``edgetally-agent support-bundle``: what somebody afar needs to find what is wrong, and no secret."""
