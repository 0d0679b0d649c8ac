"""The store of the gateway."""
