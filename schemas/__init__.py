"""Data types, parameters, and the registries of row checks and networks. Imports no other package of this project."""
