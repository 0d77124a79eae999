"""Users, passwords, sessions, API keys, one-time tokens, sign-in with providers, throttling, messages and audit.

No column holds a secret: of passwords there are Argon2id hashes, of tokens and keys SHA-256 hashes.
"""

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    "audit",
    "mails",
    "revocations",
    "attempts",
    "oauth_flows",
    "identities",
    "one_time_tokens",
    "api_keys",
    "refresh_tokens",
    "sessions",
    "passwords",
    "users",
)

UP = (
    # `email` is in lower case.
    """
    CREATE TABLE accounts.users (
        id text COLLATE "C" PRIMARY KEY,
        email text COLLATE "C" NOT NULL UNIQUE,
        name text NOT NULL,
        role text NOT NULL CHECK (role IN ('viewer', 'editor', 'operator', 'admin')),
        email_verified_at timestamptz,
        disabled_at timestamptz,
        skill_level text NOT NULL DEFAULT 'beginner',
        locale text NOT NULL DEFAULT 'en',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        last_sign_in_at timestamptz
    )
    """,
    """
    CREATE TABLE accounts.passwords (
        user_id text COLLATE "C" PRIMARY KEY REFERENCES accounts.users ON DELETE CASCADE,
        hash text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE accounts.sessions (
        id text COLLATE "C" PRIMARY KEY,
        user_id text COLLATE "C" NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
        method text NOT NULL CHECK (method IN ('password', 'link', 'oauth')),
        address text,
        user_agent text,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        end_reason text
    )
    """,
    "CREATE INDEX sessions_user ON accounts.sessions (user_id, id) WHERE ended_at IS NULL",
    "CREATE INDEX sessions_expiry ON accounts.sessions (expires_at)",
    # The tokens of a session are one family. A used one stays, so that its reuse is seen.
    """
    CREATE TABLE accounts.refresh_tokens (
        hash bytea PRIMARY KEY,
        session_id text COLLATE "C" NOT NULL REFERENCES accounts.sessions ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        used_at timestamptz,
        uses integer NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX refresh_tokens_session ON accounts.refresh_tokens (session_id)",
    """
    CREATE TABLE accounts.api_keys (
        id text COLLATE "C" PRIMARY KEY,
        user_id text COLLATE "C" NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
        name text NOT NULL,
        role text NOT NULL CHECK (role IN ('viewer', 'editor', 'operator', 'admin')),
        hash bytea NOT NULL UNIQUE,
        hint text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX api_keys_user ON accounts.api_keys (user_id, id) WHERE revoked_at IS NULL",
    """
    CREATE TABLE accounts.one_time_tokens (
        hash bytea PRIMARY KEY,
        user_id text COLLATE "C" NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
        purpose text NOT NULL CHECK (purpose IN ('verify', 'password', 'link')),
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX one_time_tokens_user ON accounts.one_time_tokens (user_id)",
    """
    CREATE TABLE accounts.identities (
        provider text COLLATE "C" NOT NULL,
        subject text COLLATE "C" NOT NULL,
        user_id text COLLATE "C" NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
        email text NOT NULL,
        linked_at timestamptz NOT NULL,
        PRIMARY KEY (provider, subject)
    )
    """,
    "CREATE INDEX identities_user ON accounts.identities (user_id)",
    # Sign-ins with a provider that have begun. The secrets of each are derived from the token in the browser's cookie.
    """
    CREATE TABLE accounts.oauth_flows (
        state_hash bytea PRIMARY KEY,
        provider text COLLATE "C" NOT NULL,
        return_to text NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    # The theoretical arrival time of the generic cell rate algorithm, by what is limited.
    """
    CREATE TABLE accounts.attempts (
        key text COLLATE "C" PRIMARY KEY,
        arrival timestamptz NOT NULL
    )
    """,
    "CREATE INDEX attempts_arrival ON accounts.attempts (arrival)",
    """
    CREATE TABLE accounts.revocations (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        change jsonb NOT NULL
    )
    """,
    "CREATE INDEX revocations_at ON accounts.revocations (at)",
    # The outbox of messages. The token of a message is made when it is sent, so none is stored here.
    """
    CREATE TABLE accounts.mails (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id text COLLATE "C" REFERENCES accounts.users ON DELETE CASCADE,
        template text NOT NULL,
        created_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        attempts integer NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX mails_due ON accounts.mails (due_at)",
    # `user_id` is the account that the row is about; it stays when the user is deleted.
    """
    CREATE TABLE accounts.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        actor_name text NOT NULL,
        address text,
        action text NOT NULL,
        user_id text COLLATE "C",
        detail jsonb NOT NULL
    )
    """,
    "CREATE INDEX audit_user ON accounts.audit (user_id, id)",
    """
    CREATE FUNCTION accounts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'rows of the audit are never changed'; END $$
    """,
    """
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON accounts.audit
    FOR EACH STATEMENT EXECUTE FUNCTION accounts.refuse_change()
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE accounts.{table}")
    op.execute("DROP FUNCTION accounts.refuse_change")
