"""What travels between the coordinator and its clients: frozen messages that refuse fields they do not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen message that refuses fields it does not know; in JSON its bytes are base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
