"""Many users in front of their Ollama servers: keys, one fair queue, limits, usage, and addresses that tools already speak."""
