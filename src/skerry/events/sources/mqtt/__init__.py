"""Messages of an MQTT broker, over paho-mqtt."""
