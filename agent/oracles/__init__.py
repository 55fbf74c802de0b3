"""Oracles: policies that know the state of their world, for demonstrations and as a bound; never for use."""
