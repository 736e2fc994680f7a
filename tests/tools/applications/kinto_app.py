"""Kinto, a store of JSON documents with an HTTP interface, from PyPI, with everything in memory.

Prints its port, and serves until its standard input ends. Each response says in `x-route` which route
Pyramid, its framework, found.
"""

import logging

import serving
from kinto import main
from pyramid.events import ContextFound

logging.disable(logging.CRITICAL)

application = main({}, **{
    "kinto.bucket_create_principals": "system.Authenticated",
    "kinto.account_create_principals": "system.Everyone",
    "kinto.includes": "kinto.plugins.accounts kinto.plugins.default_bucket kinto.plugins.history",
    "kinto.storage_backend": "kinto.core.storage.memory",
    "kinto.permission_backend": "kinto.core.permission.memory",
    "kinto.cache_backend": "kinto.core.cache.memory",
    "kinto.userid_hmac_secret": "for this comparison",
    "multiauth.policies": "account",
    "multiauth.policy.account.use": "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    "kinto.http_scheme": "http",
})


def remember(event):
    # The default bucket and batches make requests of their own inside of one; the first is the client's.
    event.request.environ.setdefault("route", event.request.matched_route)


application.registry.registerHandler(remember, (ContextFound,))


def route(environ):
    found = environ.get("route")
    return found.pattern if found is not None else None


serving.serve(application, route)
