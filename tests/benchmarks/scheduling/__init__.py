"""What the scheduler costs and what it is worth: `python -m tests.benchmarks.scheduling`."""
