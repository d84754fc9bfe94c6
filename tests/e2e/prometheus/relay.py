"""A relay between a sidecar and its upstream that can break the connection."""

import socket
import struct
import threading
import time

DELAY = 0.4
LIFE = 0.9


class Relay:
    """Modes: `pass`; `refuse` (no listener); `hang` (answers are never forwarded); `delay` (answers are forwarded DELAY later);
    `break` (as `delay`, and every connection is reset at the age LIFE)."""

    def __init__(self, port, target):
        self.port = port
        self.target = target
        self.mode = "pass"
        self.listener = None
        self.lock = threading.Lock()
        self.connections = set()
        self.listen()

    def listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def set(self, mode):
        self.mode = mode
        if mode == "refuse" and self.listener:
            # A thread in accept keeps a closed socket open; shutdown wakes it.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        elif mode != "refuse" and not self.listener:
            self.listen()
        if mode in ("refuse", "pass"):
            self.reset_all()

    def reset_all(self):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            self.reset(connection)

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                if self.listener is not listener:
                    return
                continue
            connection = (near, far)
            for end in connection:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.pump, args=(connection, near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(connection, far, near, True), daemon=True).start()
            threading.Thread(target=self.age, args=(connection,), daemon=True).start()

    def pump(self, connection, source, sink, answers):
        try:
            while data := source.recv(65536):
                mode = self.mode
                if answers and mode in ("delay", "break"):
                    time.sleep(DELAY)
                while answers and self.mode == "hang":
                    time.sleep(0.05)
                sink.sendall(data)
        except OSError:
            pass
        self.reset(connection)

    def age(self, connection):
        time.sleep(LIFE)
        while connection in self.connections:
            if self.mode == "break":
                self.reset(connection)
                return
            time.sleep(LIFE)

    def reset(self, connection):
        with self.lock:
            if connection not in self.connections:
                return
            self.connections.remove(connection)
        for end in connection:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
