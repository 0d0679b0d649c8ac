"""What users and operators see of the queue: who waits where, and for how long."""

from namel3ss.gateway.queue_views.head import Head
from namel3ss.gateway.queue_views.views import QueueViews

__all__ = ["Head", "QueueViews"]
