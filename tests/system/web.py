"""A web server for tests: web.py [--tls CERT KEY [CLIENT_CA]] prints its port, then a JSON line for each request.

The path says how it behaves; what it cannot say of HTTP by the book is written to the socket as it is.
"""
import gzip
import json
import socket
import socketserver
import ssl
import sys
import threading

context = None
# a megabyte that is a gigabyte when it is unpacked
BOMB = gzip.compress(b"\0" * (1 << 20)) * 1024
prefect_down = prefect_sick = False
printing = threading.Lock()
hang = threading.Event()


def say(what):
    with printing:
        print(what, flush=True)


class Handler(socketserver.BaseRequestHandler):
    def read_request(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.request.recv(65536)
            if not piece:
                return None
            data += piece
            if data[0] == 0x16:  # TLS
                self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return None
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers = {k.lower(): v for k, v in headers.items()}
        while len(body) < int(headers.get("content-length", 0)):
            body += self.request.recv(65536)
        return {"method": method, "target": target, "headers": headers, "body": body.decode("latin-1")}

    def answer(self, status, body, *headers):
        head = ["HTTP/1.1 %d Word" % status, "Content-Length: %d" % len(body), *headers]
        self.request.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)

    def handle(self):
        try:
            if context:
                self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
                self.handshake()
            while self.one():
                pass
        except OSError:
            pass

    def handshake(self):
        try:
            self.request.do_handshake()
        except ssl.SSLError:
            # what is unread at a close would reset the connection, and the alert be lost
            self.request.shutdown(socket.SHUT_WR)
            while socket.socket.recv(self.request, 65536):
                pass
            raise

    def one(self):
        global prefect_down, prefect_sick
        request = self.read_request()
        if not request:
            return False
        request["connection"] = self.client_address[1]
        request["resumed"] = bool(context) and self.request.session_reused
        say(json.dumps(request))
        path, _, query = request["target"].partition("?")
        port = self.server.server_address[1]
        if path.startswith("/status/"):
            self.answer(int(path[8:]), b"as asked")
        elif path == "/echo":
            self.answer(200, request["body"].encode("latin-1"), "Content-Type: text/plain", "X-Method: " + request["method"])
        elif path == "/json":
            self.answer(200, b'{"status": "ok", "n": 3, "deep": {"list": [1, true, null]}}', "Content-Type: application/json")
        elif path == "/odd-json":
            self.answer(200, json.dumps({"zero": "ok\0evil", "long": "a" * 200 + "b", "none": -0.0, "near": 0.1000000000000001}).encode())
        elif path == "/long-line":
            self.request.sendall(b"HTTP/1.1 200 " + b"k" * 1000000 + b"\r\n\r\n")
        elif path == "/chunk":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nx")
        elif request["method"] == "CONNECT":
            if "silent" in request["target"]:
                hang.wait()
            self.answer(407, b"")
        elif path == "/true":
            self.answer(200, b"true\n")
        elif path == "/api/ready":  # as Prefect's server answers
            self.answer(503 if prefect_down else 200, b'{"message":"OK"}', "Content-Type: application/json")
        elif path == "/api/health":
            self.answer(200, b"false" if prefect_sick else b"true", "Content-Type: application/json")
        elif path in ("/prefect/down", "/prefect/sick", "/prefect/up"):
            prefect_down, prefect_sick = path == "/prefect/down", path == "/prefect/sick"
            self.answer(200, b"")
        elif path == "/big":
            self.answer(200, b"0123456789abcdef" * 65536)
        elif path == "/endless":
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                self.request.sendall(b"x" * 65536)
        elif path == "/continue":
            while True:
                self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        elif path == "/headers":
            self.request.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.request.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")
        elif path == "/drip-headers":
            for c in b"HTTP/1.1 200 OK\r\nX-Long: " + b"z" * 100000:
                self.request.sendall(bytes([c]))
                if hang.wait(0.05):
                    break
        elif path == "/bomb":
            self.answer(200, BOMB, "Content-Encoding: gzip", "Content-Type: application/json")
        elif path == "/drip":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not hang.wait(0.05):
                self.request.sendall(b".")
        elif path == "/validate":
            # by POST only; valid is what has no field "bad"
            if request["method"] != "POST":
                self.answer(405, b"")
                return True
            records = json.loads(request["body"])["records"]
            results = [{"valid": "bad" not in r, "reason": r.get("bad")} for r in records]
            self.answer(200, json.dumps({"results": results}).encode(), "Content-Type: application/json")
        elif path == "/silent":
            hang.wait()
        elif path == "/garbage":
            self.request.sendall(b"\x00\xff\x16 this is no HTTP at all\r\n\r\n")
            return False
        elif path == "/close":
            return False
        elif path == "/short":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return False
        elif path == "/gzip":
            self.answer(200, b"\x1f\x8b\x08\x00 bytes", "Content-Encoding: gzip")
        elif path == "/to":
            self.answer(302, b"", "Location: " + query)
        elif path == "/twice":
            self.answer(302, b"", "Location: http://127.0.0.1:%d/to?/echo" % port)
        elif path == "/loop":
            self.answer(302, b"", "Location: /loop")
        elif request["target"].startswith("http://"):
            self.answer(200, b"by proxy")
        else:
            self.answer(200, b"hello")
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


arguments = sys.argv[1:]
if arguments[:1] == ["--tls"]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments[1], arguments[2])
    if len(arguments) > 3:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(arguments[3])
server = Server6(("::1", 0), Handler) if arguments[:1] == ["--v6"] else Server(("127.0.0.1", 0), Handler)
say(server.server_address[1])
server.serve_forever()
