"""The shapes that data has: pixel frames, parameters, results. Imports nothing else of this project."""
