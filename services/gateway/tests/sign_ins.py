"""What accounts answers to a sign-in."""

from datetime import UTC, datetime, timedelta

from k1_contracts.actors import Role
from k1_contracts.messages.accounts.authentication import SignedIn
from k1_contracts.messages.accounts.users import UserView
from services.gateway.tests.tokens import USER, access_token

SESSION = "ses_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"


def user(role: Role = "editor") -> UserView:
    now = datetime.now(UTC)
    return UserView(
        id=USER,
        email="ann@example.org",
        name="Ann",
        role=role,
        email_verified=True,
        disabled=False,
        has_password=True,
        skill_level="expert",
        locale="en",
        created_at=now,
        updated_at=now,
    )


def signed_in(role: Role = "editor", refresh_token: str = "r-1") -> SignedIn:
    now = datetime.now(UTC)
    return SignedIn(
        session_id=SESSION,
        access_token=access_token(role, sid=SESSION),
        access_expires_at=now + timedelta(minutes=15),
        refresh_token=refresh_token,
        refresh_expires_at=now + timedelta(days=7),
        user=user(role),
    )
