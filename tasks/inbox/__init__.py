"""The inbox: a folder of new files, and how their rows join a source's training part."""
