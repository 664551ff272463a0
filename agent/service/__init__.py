"""What the agent and its service manager tell each other."""
