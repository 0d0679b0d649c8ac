"""An Anthropic-shaped face over local models, and over Anthropic's own: for applications that were written for its API.

from namel3ss.bridge import OllamaBridge

bridge = OllamaBridge(base_url="http://localhost:11434", model="llama3:8b")
response = bridge.generate_response([{"role": "user", "content": "Hello"}])
print(bridge.extract_text_content(response))
"""

from namel3ss.bridge.answers import BridgeResponse, ContentBlock, Usage
from namel3ss.bridge.anthropic import AnthropicBridge
from namel3ss.bridge.base import Bridge
from namel3ss.bridge.choosing import bridge_for
from namel3ss.bridge.errors import BridgeError, BridgeTimeoutError
from namel3ss.bridge.fallback import BridgeFallback
from namel3ss.bridge.ollama import OllamaBridge
from namel3ss.bridge.waiting import waiting_message

__all__ = [
    "AnthropicBridge",
    "Bridge",
    "BridgeError",
    "BridgeFallback",
    "BridgeResponse",
    "BridgeTimeoutError",
    "ContentBlock",
    "OllamaBridge",
    "Usage",
    "bridge_for",
    "waiting_message",
]
