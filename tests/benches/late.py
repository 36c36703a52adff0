"""A way to a port of this machine on which every byte takes its time: late.py MS PORT, between standard input and output."""

import os
import queue
import socket
import sys
import threading
import time

delay, port = float(sys.argv[1]) / 1000, int(sys.argv[2])
server = socket.create_connection(("127.0.0.1", port))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def carry(read, write, end):
    under_way = queue.Queue()

    def arrive():
        while True:
            due, piece = under_way.get()
            time.sleep(max(0, due - time.monotonic()))
            if not piece:
                return end()
            while piece:
                piece = piece[write(piece) :]

    arriving = threading.Thread(target=arrive, daemon=True)
    arriving.start()
    while True:
        piece = read(1 << 16)
        under_way.put((time.monotonic() + delay, piece))
        if not piece:
            return arriving.join()


back = threading.Thread(
    target=carry, args=(server.recv, lambda piece: os.write(1, piece), lambda: os._exit(0)), daemon=True
)
back.start()
carry(lambda most: os.read(0, most), server.send, lambda: server.shutdown(socket.SHUT_WR))
back.join()
