"""What may be asked of the box over MQTT: a picture, a self-test, a restart."""
