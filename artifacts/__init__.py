"""Code for what runs leave behind: version store, reports, plots. Doesn't import Prefect or TensorFlow."""
