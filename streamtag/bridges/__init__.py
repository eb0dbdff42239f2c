"""Ways to what speaks no OSC: MIDI ports, MQTT brokers."""
