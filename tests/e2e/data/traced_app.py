"""A Django application around the code of docs/observability.md.

Prints its port, and serves until its standard input ends.
"""

import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for this test",
)

import tracing
import traced_views
from django.core.wsgi import get_wsgi_application
from django.urls import path

urlpatterns = [path("users/<int:number>", traced_views.user)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
tracing.provider.shutdown()
