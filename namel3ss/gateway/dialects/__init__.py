"""What callers write and servers answer, in each protocol: read once, bounded, told of in the protocol's own words. No I/O."""

from namel3ss.gateway.dialects.answers import usage_of_body
from namel3ss.gateway.dialects.cleaning import clean_error, clean_words
from namel3ss.gateway.dialects.limits import check_limits
from namel3ss.gateway.dialects.refusals import EVENT_STREAM, error_body, error_content_type, error_event
from namel3ss.gateway.dialects.requests import InferenceRequest, read_request
from namel3ss.gateway.dialects.rewriting import rewrite
from namel3ss.gateway.dialects.streams import StreamReader

__all__ = [
    "EVENT_STREAM",
    "InferenceRequest",
    "StreamReader",
    "check_limits",
    "clean_error",
    "clean_words",
    "error_body",
    "error_content_type",
    "error_event",
    "read_request",
    "rewrite",
    "usage_of_body",
]
