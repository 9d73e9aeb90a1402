"""One module a format: a file's bytes to canonical text, anchors, and what the file says of itself.

`rag.loading` chooses the loader. Formats that are more than text (see `rag.loaders.isolation`) are read in a process
of their own, with limits on memory and time, so that one bad file costs itself alone.
"""
