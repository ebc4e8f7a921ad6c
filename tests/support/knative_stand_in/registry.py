"""From the tag of an image to its digest, as Knative's controller asks a registry for it."""

import http.client
import time

ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
)
UNRESOLVED = ("localhost", "kind.local", "ko.local", "dev.local")
RETRY_S = 1.0
TIMEOUT_S = 5.0


class Digests:
    """Digests of images; what was found stays, what was not is asked for again after a second."""

    def __init__(self):
        self._found = {}
        self._failed = {}

    def resolve(self, image):
        """Return the image with its digest, and why there is none."""
        registry, _, rest = image.partition("/")
        if "@" in image or registry in UNRESOLVED:
            return image, None
        if image in self._found:
            return self._found[image], None
        error, since = self._failed.get(image, (None, 0.0))
        if error is None or time.monotonic() - since > RETRY_S:
            try:
                self._found[image] = f"{image}@{_digest(registry, rest)}"
                return self._found[image], None
            except (OSError, LookupError, http.client.HTTPException) as raised:
                error = f"failed to resolve image to digest: {raised}"
                self._failed[image] = (error, time.monotonic())
        return None, error


def _digest(registry, rest):
    name, _, tag = rest.partition(":")
    where = f"/v2/{name}/manifests/{tag or 'latest'}"
    connection = http.client.HTTPConnection(registry, timeout=TIMEOUT_S)
    try:
        connection.request("HEAD", where, headers={"accept": ACCEPT})
        answer = connection.getresponse()
        answer.read()
    except OSError as error:
        raise OSError(f'Get "http://{registry}/v2/": {error}') from error
    finally:
        connection.close()
    if answer.status != 200:
        said = f"unexpected status code {answer.status} {answer.reason}"
        raise LookupError(f"HEAD http://{registry}{where}: {said} (HEAD responses have no body, use GET for details)")
    return answer.headers["docker-content-digest"]
