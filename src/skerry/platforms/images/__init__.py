"""OCI images of apps, made without Docker or any other daemon.

`layer` writes reproducible layers, `blobs` keeps them, `base` finds what is below them, `manifest` describes the whole,
and `archive` and `registry` take it elsewhere.
"""
