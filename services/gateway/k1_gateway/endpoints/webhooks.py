"""Lists the endpoints of webhooks and their deliveries; all are for administrators."""

from typing import Final

from k1_contracts.messages.webhooks import (
    DELIVERY_LIST,
    DELIVERY_REDRIVE,
    WEBHOOK_CREATE,
    WEBHOOK_DELETE,
    WEBHOOK_GET,
    WEBHOOK_LIST,
    WEBHOOK_ROTATE,
    WEBHOOK_TEST,
    WEBHOOK_UPDATE,
)
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, UNAVAILABLE
from k1_gateway.http.relay import relay

_NO_WEBHOOK: Final = {404: "`webhook_not_found`", **INVALID, **UNAVAILABLE}
_URL: Final = {
    422: "`invalid_body`, `invalid_parameter`; `url_not_allowed`: says what is wrong with the address"
}

WEBHOOKS: Final = (
    Endpoint(
        "POST", "/webhooks", "createWebhook", "Webhooks",
        "Send events to another system by HTTP, signed as Standard Webhooks describes; the secret is shown once",
        relay, query=WEBHOOK_CREATE, body_fields=("url", "event_types", "description"),
        responses={201: ("The webhook and its secret", WEBHOOK_CREATE.response)},
        problems={**BODY_PROBLEMS, **UNAVAILABLE, 409: "`too_many_webhooks`", **_URL},
    ),
    Endpoint(
        "GET", "/webhooks", "listWebhooks", "Webhooks", "The webhooks, oldest first",
        relay, query=WEBHOOK_LIST, query_params=("limit", "cursor"),
        responses={200: ("A page of webhooks", WEBHOOK_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/webhooks/{webhook_id}", "getWebhook", "Webhooks", "One webhook",
        relay, query=WEBHOOK_GET, responses={200: ("The webhook", WEBHOOK_GET.response)}, problems=_NO_WEBHOOK,
    ),
    Endpoint(
        "PATCH", "/webhooks/{webhook_id}", "updateWebhook", "Webhooks",
        "Change a webhook. Disabling it ends its waiting deliveries; enabling it again starts with new events",
        relay, query=WEBHOOK_UPDATE, body_fields=("url", "event_types", "description", "enabled"),
        responses={200: ("The webhook as it is now", WEBHOOK_UPDATE.response)},
        problems={**BODY_PROBLEMS, **_NO_WEBHOOK, **_URL},
    ),
    Endpoint(
        "DELETE", "/webhooks/{webhook_id}", "deleteWebhook", "Webhooks", "Remove a webhook and its deliveries",
        relay, query=WEBHOOK_DELETE,
        responses={200: ("It is removed", WEBHOOK_DELETE.response)}, problems=_NO_WEBHOOK,
    ),
    Endpoint(
        "POST", "/webhooks/{webhook_id}/rotate-secret", "rotateWebhookSecret", "Webhooks",
        "Replace the secret at once; the new one is shown once",
        relay, query=WEBHOOK_ROTATE,
        responses={200: ("The webhook and its new secret", WEBHOOK_ROTATE.response)},
        problems={**BODY_PROBLEMS, **_NO_WEBHOOK, 422: "`invalid_parameter`, `invalid_body`"},
    ),
    Endpoint(
        "POST", "/webhooks/{webhook_id}/test", "testWebhook", "Webhooks", "Send an event of the type `webhook.test`",
        relay, query=WEBHOOK_TEST,
        responses={202: ("The delivery", WEBHOOK_TEST.response)},
        problems={**BODY_PROBLEMS, **_NO_WEBHOOK, 422: "`invalid_parameter`, `invalid_body`"},
    ),
    Endpoint(
        "GET", "/webhooks/{webhook_id}/deliveries", "listDeliveries", "Webhooks",
        "The deliveries of a webhook, newest first, with the last answer of the receiver",
        relay, query=DELIVERY_LIST, query_params=("status", "limit", "cursor"),
        responses={200: ("A page of deliveries", DELIVERY_LIST.response)}, problems=_NO_WEBHOOK,
    ),
    Endpoint(
        "POST", "/webhooks/deliveries/{delivery_id}/redrive", "redriveDelivery", "Webhooks",
        "Try a delivery that has ended again, with all its attempts before it",
        relay, query=DELIVERY_REDRIVE,
        responses={202: ("The delivery", DELIVERY_REDRIVE.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE, 404: "`delivery_not_found`",
            409: "`delivery_pending`: it is still being tried", 422: "`invalid_parameter`, `invalid_body`",
        },
    ),
)  # fmt: skip
