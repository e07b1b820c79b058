"""The program that speaks for a node that it is not. It stands in the client, whose Python may be 3.6."""

PATH = "/usr/local/bin/forge"
SPEAKING = "speaking for it now"
SCRIPT = r'''#!/usr/bin/env python3
"""Speaks for a node that it is not, by heartbeats that look like that node's own.

usage: forge NODE ADDRESS [PORT]

Listens until NODE has sent a heartbeat, and then sends its likeness, each with a higher number, to ADDRESS until it is
stopped (Ctrl-C). It knows no key. A heartbeat is a list of fields, `###`, `length:(0)name=value,`..., `%%%`, and behind
it the signature over all that. For `crc` the signature is a checksum, which anybody can compute. If the heartbeat that
it heard was signed otherwise, it tries whether ADDRESS takes crc as well, under any of the 16 numbers.
"""

import itertools
import socket
import sys
import time

BEAT_S = 0.2
TRY_S = 0.05  # so that each of the 16 numbers has its turn more often than deadtime


def checksum(data):
    """The CRC of cksum, without the length."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc ^ 0xFFFFFFFF


def fields(packet):
    """The fields of a heartbeat as they stand, `(0)name=value`; none if it is something else."""
    found, rest = [], packet[4:] if packet.startswith(b"###\n") else b"%%%"
    while not rest.startswith(b"%%%"):
        length, _, rest = rest.partition(b":")
        if not length.isdigit():
            return []
        found.append(rest[: int(length)])
        rest = rest[int(length) + 1 :]
    return found


def packed(parts):
    """Fields as they are sent, still without a signature."""
    return b"###\n" + b"".join(b"%d:%s," % (len(part), part) for part in parts) + b"%%%\n"


def signed(body, number):
    """With a crc signature under this number of authkeys."""
    signature = b"%d %x" % (number, checksum(body))
    return body + b"%d:%s," % (len(signature), signature)


def main(node, address, port):
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.bind(("", port))
    heard = []
    while b"(0)t=status" not in heard or b"(0)src=" + node.encode() not in heard:
        packet = ear.recv(65536)
        heard = fields(packet)
    body, _, signature = packet.partition(b"%%%\n")
    number = int(signature.split(b":")[-1].split()[0])
    known = signed(body + b"%%%\n", number).rstrip(b",") == packet.rstrip(b",\0")
    numbers = itertools.cycle([number] if known else range(16))
    method = "crc" if known else "a key that I do not know"
    print("heard %s, signed by %s; speaking for it now" % (node, method), flush=True)
    count = next(int(part[7:], 16) for part in heard if part.startswith(b"(0)seq="))
    mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        count += 1
        body = packed([b"(0)seq=%x" % count if part.startswith(b"(0)seq=") else part for part in heard])
        mouth.sendto(signed(body, next(numbers)), (address, port))
        time.sleep(BEAT_S if known else TRY_S)


if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
try:
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 694)
except KeyboardInterrupt:
    print()
'''
