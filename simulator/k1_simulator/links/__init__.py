"""Connects simulated devices to the NATS or MQTT server."""
