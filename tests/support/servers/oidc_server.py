"""A real OpenID Connect server (authlib on Flask, on loopback) that tests can make misbehave."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from flask import Flask, Response, jsonify, request
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from tests.support.servers.threaded import serving

CLIENT_ID, CLIENT_SECRET = "k1", "a client secret"


@dataclass(slots=True)
class OidcServer:
    """What the server knows, and how it misbehaves."""

    url: str = ""
    redirect_uri: str = "https://k1.example.org/api/v1/auth/oauth/corp/callback"
    """The one that the client has registered."""
    claims: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "1",
            "email": "ada@example.org",
            "email_verified": True,
            "name": "Ada",
        }
    )
    """Of the person who signs in; `nonce`, `iss` and `aud` replace the right ones."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, Any] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "1"}))
    signing_key: ECKey | None = None
    """Another key than the published one."""


class _Client(SimpleNamespace):
    def get_client_id(self) -> str:
        return CLIENT_ID

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def check_redirect_uri(self, uri: str) -> bool:
        return uri == self.redirect_uri

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


class _Code(SimpleNamespace):
    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    get_acr = get_amr = get_auth_time


def _application(known: OidcServer) -> Flask:
    app = Flask("oidc")
    registered = {CLIENT_ID: lambda: _Client(redirect_uri=known.redirect_uri)}
    server = AuthorizationServer(app, query_client=lambda name: registered.get(name, lambda: None)())
    server.save_token = lambda token, request: None

    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic"]

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            known.codes[code] = _Code(
                redirect_uri=data["redirect_uri"],
                scope=data["scope"],
                nonce=data.get("nonce"),
                code_challenge=data.get("code_challenge"),
                code_challenge_method=data.get("code_challenge_method"),
            )

        def query_authorization_code(self, code: str, client: Any) -> Any:
            return known.codes.get(code)

        def delete_authorization_code(self, authorization_code: Any) -> None:
            known.codes = {name: each for name, each in known.codes.items() if each is not authorization_code}

        def authenticate_user(self, authorization_code: Any) -> Any:
            return SimpleNamespace(get_user_id=lambda: known.claims["sub"])

    class IdToken(OpenIDCode):
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return False

        def resolve_client_private_key(self, client: Any) -> Any:
            return (known.signing_key or known.key).as_dict(private=True)

        def get_client_algorithm(self, client: Any) -> str:
            return "ES256"

        def get_client_claims(self, client: Any) -> dict[str, Any]:
            return {"iss": known.url, "aud": [CLIENT_ID]}

        def get_encode_header(self, client: Any) -> dict[str, Any]:
            return {"alg": "ES256", "kid": (known.signing_key or known.key).kid}

        def generate_user_info(self, user: Any, scope: str) -> dict[str, Any]:
            return known.claims

    server.register_grant(CodeGrant, [IdToken(require_nonce=True), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        urls = {name: known.url + path for name, path in names.items()}
        return jsonify({"issuer": known.url, "userinfo_endpoint": f"{known.url}/userinfo", **urls})

    @app.get("/jwks")
    def jwks() -> Response:
        return jsonify({"keys": [known.key.as_dict(private=False)]})

    @app.get("/userinfo")
    def userinfo() -> Response:
        return jsonify(known.userinfo)

    @app.get("/authorize")
    def authorize() -> Any:
        grant = server.get_consent_grant(end_user="someone")
        return server.create_authorization_response(grant_user=SimpleNamespace(), grant=grant)

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    # GitHub's API, on the same server.
    @app.post("/login/oauth/access_token")
    def github_token() -> Response:
        form = request.form
        is_right = (form["code"], form["client_secret"]) == ("right", CLIENT_SECRET) and form["code_verifier"]
        return jsonify(
            {"access_token": "t", "token_type": "bearer"} if is_right else {"error": "bad_verification_code"}
        )

    @app.get("/user")
    def github_user() -> Response:
        return jsonify({"id": 7, "login": "ada", "name": None})

    @app.get("/user/emails")
    def github_emails() -> Response:
        other = {"email": "other@example.org", "verified": True, "primary": False}
        verified = known.claims["email_verified"]
        return jsonify([other, {"email": known.claims["email"], "verified": verified, "primary": True}])

    return app


@contextmanager
def running_oidc_server(host: str = "127.0.0.1") -> Iterator[OidcServer]:
    """Run the server in a thread until the block ends; `host` is its name in its own addresses."""
    known = OidcServer()
    server = make_server("127.0.0.1", 0, _application(known), threaded=True)
    known.url = f"http://{host}:{server.server_port}"
    with serving(server):
        yield known
