"""One module a step, in their order. A step that was published is never changed."""
