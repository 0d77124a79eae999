"""Makes the actor of a request over HTTP between services the current actor, as responders do for queries."""

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from k1_platform.nats.actors import acting_as, actor_of


@web.middleware
async def act_as_sender(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request of another service as the actor that its headers carry; 400 where they hold none.

    Only for servers that clients cannot reach: whoever reaches one may name any actor.
    """
    try:
        actor = actor_of(request.headers)
    except ValidationError as error:
        raise web.HTTPBadRequest(reason="The header ce-actor holds no actor") from error
    with acting_as(actor):
        return await handler(request)
