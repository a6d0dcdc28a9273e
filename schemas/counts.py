"""Counts in messages and reports."""


def count(number: int, noun: str) -> str:
    """Format a count with its noun: `1 image`, `2,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
