"""The device side: cameras in, counts out over MQTT."""
