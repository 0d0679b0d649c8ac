"""The extension for VS Code and the configurations of other editors. Node and its packages are for these tests alone."""
