"""Sign-in with Google, GitHub or any OpenID Connect issuer."""
