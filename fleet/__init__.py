"""What an operator runs: releasing models, and the fleet that takes them."""
