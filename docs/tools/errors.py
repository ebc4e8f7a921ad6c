"""The page of the errors: from the classes."""

from __future__ import annotations

from skerry.errors import SkerryError, error_classes, exit_code
from tools.markdown import first_line, table
from tools.places import GENERATED, REFERENCE


def render() -> str:
    """Return the page."""
    rows = [
        [
            "&nbsp;&nbsp;" * (len(cls.__mro__) - len(SkerryError.__mro__)) + f"`{cls.__name__}`",
            f"`{cls.code}`",
            str(cls.http_status),
            "yes" if cls.retryable else "no",
            str(exit_code(cls("message"))),
            first_line(cls),
        ]
        for cls in _in_order(SkerryError)
    ]
    return f"""{GENERATED}
# Errors

Every error that Skerry raises or sends is one of these classes of `skerry.errors`. Over HTTP an error is a body of
type `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with the members `code`, `status`,
`detail`, `retryable` and further ones, such as `errors` (the fields that do not fit) or `error_id` (where to look in
the log). Compare `code`: messages may change. *Retryable* says whether the same request may succeed later. *Exit code*
is that of a command that ends with the error. Indentation shows which class is derived from which.

{table(["Class", "Code", "HTTP status", "Retryable", "Exit code", "Meaning"], rows)}"""


def check() -> list[str]:
    """Return the codes that the page lacks."""
    page = REFERENCE / "errors.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return [f"{cls.code!r} is not in {page.name}" for cls in error_classes() if f"`{cls.code}`" not in text]


def _in_order(cls: type[SkerryError]) -> list[type[SkerryError]]:
    found = [cls]
    for derived in cls.__subclasses__():
        if derived.__module__ == SkerryError.__module__:
            found += _in_order(derived)
    return found
