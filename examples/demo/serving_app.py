"""The app that serves: `classify` is the published model, whatever version its alias points at."""

import os

import skerry

# The demo trains on a person's own data too, and names the model after them.
MODEL = os.environ.get("DEMO_MODEL", "digits@production")

app = skerry.App("serving", imports=("numpy", "onnxruntime"))

classify = app.serve(
    "classify",
    model=MODEL,
    # Sharing the load saves memory where models are large; a start from zero of a small one is a fork shorter without.
    share_load=False,
    scale=skerry.Scale(max=2, window="1s", grace="1s"),
)
