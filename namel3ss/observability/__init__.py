"""What is told of a running program: metrics, traces and logs. Knows nothing of providers or of the language."""
