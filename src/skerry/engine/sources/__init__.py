"""The source of an app on the engine: copied or sent, with an environment of its own."""
