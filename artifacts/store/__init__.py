"""Keeps versions: numbered folders, their history, and the champion, in a folder or an object store."""
