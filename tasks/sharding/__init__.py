"""Sharded sources: shards are checked once, cached as compact arrays and read from there."""
