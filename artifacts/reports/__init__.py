"""What people read: reports in markdown, plots, tables and the model card."""
