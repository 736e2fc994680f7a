"""A Django application around the middleware of docs/migration.md, whose view fails on request.

Prints its port, and serves until its standard input ends.
"""

import logging
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["exception_type.ExceptionType"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for this test",
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

logging.disable(logging.CRITICAL)


class OutOfStock(Exception):
    pass


def order(request, number):
    if number % 2:
        raise OutOfStock("a message that stays inside")
    return HttpResponse()


urlpatterns = [path("orders/<int:number>", order)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
