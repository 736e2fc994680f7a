"""Serves a WSGI application on a free port of the loopback interface, and names the route of each request."""

import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def serve(application, route):
    """Serves until standard input ends. `route` gives the application's own word for a request's route,
    from the WSGI environment after the application has seen it, or None."""

    def named(environ, start_response):
        def start(status, headers, *rest):
            found = route(environ)
            return start_response(status, headers + ([("x-route", found or "/")] if found is not None else []), *rest)

        return application(environ, start)

    server = make_server("127.0.0.1", 0, named, server_class=Server, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
