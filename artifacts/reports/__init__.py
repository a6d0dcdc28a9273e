"""Reports in markdown, plots, tables and the model card."""
