"""One file a command; each has one public name, `command`."""
