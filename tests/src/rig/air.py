"""A cable whose ends are two network interfaces, with air in between: what goes in at one end comes out at the other late,
not always in order, and not always at all. What `tc netem` does, for kernels that have none.

    air.py NEAR FAR DELAY_MS JITTER_MS LOST_PER_MILLE SEED

It says `ready` when both interfaces are there, and ends with its standard input.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

# linux/if_tun.h
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# More than that under way at once is lost, as in any queue.
LONGEST_QUEUE = 4096


def interface(name):
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


near, far = interface(sys.argv[1]), interface(sys.argv[2])
delay, jitter, lost, seed = (int(word) for word in sys.argv[3:])
chance = random.Random(seed)
under_way, number = [], 0
print("ready", flush=True)
while True:
    wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    ready, _, _ = select.select([near, far, sys.stdin], [], [], wait)
    if sys.stdin in ready:
        break
    for end in ready:
        try:
            packet = os.read(end, 65536)
        except OSError:
            continue  # its interface is down
        if chance.randrange(1000) < lost or len(under_way) == LONGEST_QUEUE:
            continue
        number += 1
        due = time.monotonic() + (delay + chance.uniform(-jitter, jitter)) / 1000
        heapq.heappush(under_way, (due, number, far if end == near else near, packet))
    while under_way and under_way[0][0] <= time.monotonic():
        _, _, end, packet = heapq.heappop(under_way)
        try:
            os.write(end, packet)
        except OSError:
            pass  # as above: it falls on the floor
