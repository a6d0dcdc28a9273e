"""Machinery of `verify`: score a version anew, from nothing but its folder. Knows no Prefect."""
