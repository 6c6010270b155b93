"""What requests may hold, and the one form that errors have: that of OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

MOST_TEXTS = 2048  # of a request, as OpenAI's API has it
MOST_TOKENS = 100_000  # of a request


def _encodable(text: str) -> str:
    """See that UTF-8 can hold a text: JSON may write half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half of a surrogate pair") from error
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings` of OpenAI's API."""

    model: str
    input: Text | Texts | Annotated[list[int] | list[list[int]], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class OnTexts(BaseModel):
    """A run and texts; without `model`, the only run that is served."""

    model: str | None = None
    texts: Texts


class EmbedRequest(OnTexts):
    """Activations of texts: which layers, and whether pooled over the tokens."""

    layers: Literal["all", "top", "average"] | Annotated[int, Field(ge=0, le=64)] = "all"
    pool: Literal["mean", "max"] | None = None


class SimilarRequest(BaseModel):
    """A token in its context, and texts to search for tokens like it."""

    model: str | None = None
    text: Text
    token: Text | None = None
    occurrence: int = Field(1, ge=1, le=MOST_TOKENS)
    texts: Texts
    layer: Literal["top", "mix"] | Annotated[int, Field(ge=0, le=64)] = "top"
    top: int = Field(10, ge=1, le=MOST_TEXTS)
    same_word: bool = False


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: Of HTTP.
        message: What is wrong, without any text of the request.
        code: A word for programs.
        param: Which part of the request.
        headers: Of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers

    def response(self) -> JSONResponse:
        """The answer."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error: dict[str, Any] = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status, self.headers)
