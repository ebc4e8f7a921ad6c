"""What travels between the coordinator and its clients: frozen messages that refuse fields they do not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen message that refuses fields it does not know; in JSON its bytes are base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    def to_json(self) -> bytes:
        """Return the message as JSON: what `model_dump_json` gives, as bytes, without the text in between."""
        return self.__pydantic_serializer__.to_json(self)
