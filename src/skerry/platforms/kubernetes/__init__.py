"""A Kubernetes cluster: talking to it, applying an app's objects, and saying why they are not ready."""
