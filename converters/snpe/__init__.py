"""Driving Qualcomm's converter for .dlc files (SNPE, QAIRT), which the user supplies."""
