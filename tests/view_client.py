"""Servers of outputs, and somebody who asks them whatever he likes."""

import contextlib
import http.client
import socket
import threading

from pipelines.view.server import ViewServer
from pipelines.view.site import open_site


class Client:
    """Asks a server, also what no browser would ask.

    Attributes:
        port: Its port.
    """

    def __init__(self, port):
        self.port = port

    def ask(self, target, method="GET", host="127.0.0.1", **headers):
        """Return the answer to a request, its body read; `body` is that."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_host=True)
            connection.putheader("Host", host)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            answer.body = answer.read()
        return answer

    def raw(self, data):
        """Return all that comes back for some bytes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sender:
            sender.sendall(data)
            found = b""
            while piece := sender.recv(65536):
                found += piece
        return found


@contextlib.contextmanager
def serving(root):
    """Serve an output until the block ends."""
    with ViewServer(open_site(root)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Client(server.server_port)
        finally:
            server.shutdown()
            thread.join()
