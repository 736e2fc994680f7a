"""A Django application around the code of docs/business-metrics.md, with Celery in eager mode.

Prints its port, and serves until its standard input ends.
"""

import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from celery import Celery
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="for this test",
)
Celery("shop", task_always_eager=True).set_default()

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import metric_events
import views


def post_to(request):
    metric_events.URL = request.GET["url"]
    return HttpResponse()


urlpatterns = [
    path("products/<name>", views.product),
    path("orders", views.order),
    path("post-to", post_to),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
