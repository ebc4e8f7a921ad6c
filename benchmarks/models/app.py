"""The functions that are measured: each serves one model by its name."""

import os

import skerry

app = skerry.App("models", imports=("numpy", "onnxruntime"))

for name in os.environ.get("BENCHMARK_MODELS", "small medium large").split():
    app.serve(name, model=f"{name}@production", scale=skerry.Scale(initial=0, max=1, window="1s", grace="1s"))
