"""The HTTP service: the champion's predictions, a page to draw a digit on, corrections. Doesn't import Prefect."""
