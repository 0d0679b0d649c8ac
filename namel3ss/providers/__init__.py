"""Providers: what a model runs on. `base` is the contract, `registry` finds them, `local` and others are them."""
