"""What a person runs: each file is one flow and fits on one screen."""
