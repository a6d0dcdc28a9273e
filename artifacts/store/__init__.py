"""The store of versions, their history and the champion, in a folder or an object store."""
