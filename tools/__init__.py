"""What runs from a checkout: model zoo, benchmarks, demo, set-up. Not in the wheel."""
