"""Accounts: who may use the system. Signs people in, and issues access tokens and API keys.

The service owns PostgreSQL schema `accounts` and responds to queries on `rpc.accounts.*`. `handlers.py` is the index of
its subjects; `app.py` creates and connects its parts:

* `administration`: queries about users and profiles;
* `users`: the tables of users;
* `passwords`: the rules for passwords, and their hashes;
* `sessions`: sessions with their refresh tokens, and the access tokens;
* `keys`: API keys;
* `sign_in`: sign-up, sign-in with a password or a one-time token, and its throttling;
* `oauth`: sign-in with Google, GitHub or any OpenID Connect issuer;
* `mail`: the messages to users, sent from an outbox.
"""
