"""Providers that run models on machines of one's own."""
