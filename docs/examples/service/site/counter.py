"""A small service: counts the requests that it answers. Its answers tell, in a header, which machine they come from."""

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer


class Counter(BaseHTTPRequestHandler):
    count = 0

    def do_GET(self):
        Counter.count += 1
        answer = f"{Counter.count}\n".encode()
        self.send_response(200)
        self.send_header("X-Served-By", socket.gethostname())
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


HTTPServer(("", 80), Counter).serve_forever()
