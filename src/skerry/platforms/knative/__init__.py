"""Functions on Knative Serving."""
