"""What the hardware tells of itself: temperature, throttling, power, load and memory."""
