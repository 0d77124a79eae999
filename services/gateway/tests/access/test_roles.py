"""Which role each endpoint demands, and which actor its owner gets."""

import json

import httpx
from nats.js import JetStreamContext

from k1_contracts.actors import ROLES, Actor
from k1_contracts.envelope import Envelope
from k1_contracts.messages.accounts.authentication import AUTH_LOGIN, GetJwks, Login
from k1_contracts.messages.catalogue.tracks import TRACK_LIST
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DEPLOYMENT_PLAN
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED
from k1_contracts.streams import EVENTS
from k1_gateway.handlers import ENDPOINTS
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.path_values import PATH_VALUES
from services.gateway.tests.sign_ins import signed_in
from services.gateway.tests.tokens import USER, access_token, bearer


def is_refused(answer: httpx.Response, status: int, code: str) -> bool:
    """Return whether this is the problem; the response to HEAD has no body."""
    if answer.request.method == "HEAD":
        return answer.status_code == status
    return (answer.status_code, answer.json()["code"]) == (status, code)


async def test_every_endpoint_demands_its_role(guest: httpx.AsyncClient, owners: Owners) -> None:
    """Without sign-in 401, with a lower role 403, and nothing reaches the owner; only the public ones are for everyone."""
    for endpoint in ENDPOINTS:
        name, path = endpoint.operation_id, endpoint.path.format_map(PATH_VALUES)
        # A parameter that does not exist ends what would wait for events, after the role was checked.
        path += "?unknown=1" if endpoint.is_stream else ""
        answer = await guest.request(endpoint.method, path)
        if endpoint.public:
            is_problem = answer.status_code in {401, 403}
            assert not is_problem or answer.json()["code"] not in {"unauthenticated", "role_required"}, name
            continue
        assert is_refused(answer, 401, "unauthenticated"), name
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="k1"'
        for role in ROLES:
            owners.received.clear()
            answer = await guest.request(endpoint.method, path, headers=bearer(access_token(role)))
            if ROLES.index(role) < ROLES.index(endpoint.least_role):
                assert is_refused(answer, 403, "role_required"), (name, role)
                assert endpoint.method == "HEAD" or endpoint.least_role in answer.json()["detail"]
                assert owners.received in ([], [GetJwks()])
            else:
                assert answer.status_code not in {401, 403}, (name, role, answer.text)


def test_the_roles_are_those_of_the_design() -> None:
    """Uploading and editing need editor, deploying operator, users admin; reading needs sign-in."""
    roles = {each.operation_id: each.least_role for each in ENDPOINTS if not each.public}
    assert roles["listTracks"] == roles["getMe"] == "viewer"
    assert roles["uploadTrack"] == roles["requestAnalysis"] == roles["cancelJob"] == "editor"
    assert roles["requestDeployment"] == roles["rollbackDeployment"] == "operator"
    assert (
        roles["listUsers"] == roles["deleteUser"] == roles["addDevices"] == roles["revokeDevices"] == "admin"
    )
    public = {each.operation_id for each in ENDPOINTS if each.public}
    assert public == {
        *("getHealth", "getOpenApi", "getAsyncApi", "register", "verifyEmail", "logIn", "logInByLink"),
        *("refreshSession", "logOut", "forgotPassword", "resetPassword", "listProviders", "beginOauth"),
        *("finishOauth", "openLink"),
    }


async def test_the_actor_reaches_the_owner(guest: httpx.AsyncClient, owners: Owners) -> None:
    """With the address of the request; a public query carries none."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    owners.respond_with(AUTH_LOGIN.subject, signed_in())
    token = access_token("editor")
    assert (await guest.get("/tracks", headers=bearer(token))).status_code == 200
    expected = Actor(kind="user", id=USER, name="Ann", role="editor", address="127.0.0.1")
    assert owners.actors[-1] == expected
    await guest.post("/auth/login", json={"email": "a@b.example", "password": "x"}, headers=bearer(token))
    assert owners.actors[-1] is None
    assert isinstance(owners.received[-1], Login)
    assert owners.received[-1].client.address == "127.0.0.1"


async def test_nobody_deploys_under_another_name(
    guest: httpx.AsyncClient, owners: Owners, jetstream: JetStreamContext
) -> None:
    """The command has the name of the caller, and its envelope who that is."""
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan(would_start=True))
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    order = {"track_id": samples.TRACK, "version": 1, "group": "stage", "requested_by": "the boss"}
    answer = await guest.post("/deployments", json=order, headers=bearer(access_token("operator")))
    assert answer.status_code == 202, answer.text
    message = await jetstream.get_last_msg(EVENTS, DEPLOY_REQUESTED.subject)
    assert json.loads(message.data or b"")["requested_by"] == "Ann"
    actor = Envelope.from_headers(message.headers or {}).actor
    assert actor is not None
    assert (actor.id, actor.role) == (USER, "operator")
