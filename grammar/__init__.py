"""The language for machines: the grammar that runs, and what other tools read. Ships as ``namel3ss.grammar``."""
