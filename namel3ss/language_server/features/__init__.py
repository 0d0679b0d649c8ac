"""One module for each thing an editor asks for: pure functions over a snapshot, testable without a server."""
