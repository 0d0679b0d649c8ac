"""The language server: what an editor is told about `.ai` files.

`features` are pure functions over a snapshot of the workspace; `server` carries them over the Language Server Protocol.
Needs the extra `editor`; importing this package does not.
"""
