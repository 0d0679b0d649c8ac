"""Metrics with listeners. Floor 2: knows nothing of providers or of the language."""
