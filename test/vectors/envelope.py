#!/usr/bin/env python3
"""Computes envelope.json from docs/format.md's rules, independently of src/core.

    python3 test/vectors/envelope.py > test/vectors/envelope.json

Needs the package `cryptography`.  Keys, uuids and nonces are fixed, so the
output is the same every time; test/unit/test_envelope.c reads it.
"""

import base64
import json
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LABEL = b"phi_guard envelope 1"


def derive(key, nonce):
    """K1 and the message key of XAES-256-GCM (C2SP)."""
    def block(data):
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    doubled = int.from_bytes(block(bytes(16)), "big") << 1
    if doubled >> 128:
        doubled ^= 1 << 128 | 0x87
    k1 = doubled.to_bytes(16, "big")
    halves = [bytes([0, i, 0x58, 0]) + nonce[:12] for i in (1, 2)]
    return k1, b"".join(block(bytes(a ^ b for a, b in zip(m, k1))) for m in halves)


def seal(name, key, dek_id, dek_uuid, nonce, plain, bound=None, column_uuid=None, tag=None):
    """One vector; bound is (column_id, label_set, subject_token, row_token) or None."""
    flags = (1 if bound else 0) | (2 if tag else 0)
    header = struct.pack(">BI", 0x10 | flags, dek_id)
    if bound:
        header += struct.pack(">HHQQ", *bound) + (tag or b"")
    full_nonce = (header[5:17] if bound else b"") + nonce
    assert len(full_nonce) == 24
    aad = LABEL + header + dek_uuid + (column_uuid or bytes(16))
    k1, message_key = derive(key, full_nonce)
    sealed = AESGCM(message_key).encrypt(full_nonce[12:], plain, aad)
    envelope = header + nonce + sealed
    fields = bound or (0, 0, 0, 0)
    return {
        "name": name,
        "key": key.hex(),
        "dek_id": dek_id,
        "dek_uuid": dek_uuid.hex(),
        "column_uuid": (column_uuid or b"").hex(),
        "bound": bound is not None,
        "searchable": tag is not None,
        "column_id": fields[0],
        "label_set": fields[1],
        "subject_token": "%016x" % fields[2],
        "row_token": "%016x" % fields[3],
        "search_tag": (tag or b"").hex(),
        "nonce": nonce.hex(),
        "plaintext": plain.hex(),
        "header": header.hex(),
        "xaes_nonce": full_nonce.hex(),
        "message_key": message_key.hex(),
        "aad": aad.hex(),
        "envelope": envelope.hex(),
        "text": text(envelope),
    }


def text(envelope):
    return "phi:1:" + base64.urlsafe_b64encode(envelope).rstrip(b"=").decode()


def rejects(vector):
    """Texts that no reader accepts, each a small change of a good one."""
    good = bytes.fromhex(vector["envelope"])
    body = vector["text"]

    def first_byte(value):
        return text(bytes([value]) + good[1:])

    cases = [("empty", ""), ("prefix alone", "phi:1:"),
             ("upper-case prefix", "PHI:1:" + body[6:]), ("another version", "phi:2:" + body[6:]),
             ("format nibble 0", first_byte(0x00)), ("format nibble 2", first_byte(0x20)),
             ("format nibble 15", first_byte(0xF0)),
             ("flag 4", first_byte(0x14)), ("flag 8", first_byte(0x18)),
             ("search tag without bound", first_byte(0x12)),
             ("dek_id 0", text(good[:1] + bytes(4) + good[5:])),
             ("one byte short of the overhead", text(good[:44])),
             ("header alone", text(good[:5])), ("one byte", text(good[:1])),
             ("bound, one byte short of the overhead", text(b"\x11" + good[1:5] + bytes(47))),
             ("searchable, one byte short of the overhead", text(b"\x13" + good[1:5] + bytes(59))),
             ("padding", body + "="), ("a digit left over", body[:-1]),
             ("white space before", " " + body), ("white space after", body + " "),
             ("newline after", body + "\n"), ("white space within", body[:20] + " " + body[20:]),
             ("plus", body[:20] + "+" + body[21:]), ("slash", body[:20] + "/" + body[21:]),
             ("percent", body[:20] + "%" + body[21:])]
    # good has 46 bytes, so two digits carry its last byte and four unused bits.
    assert len(good) % 3 == 1 and body[-1] in "AQgw"
    cases.append(("unused bits set", body[:-1] + chr(ord(body[-1]) + 1)))
    cases.append(("unused bits set, three digits", text(good + b"\0")[:-1] + "B"))
    return [{"why": why, "text": case} for why, case in cases]


def main():
    key = bytes(range(32))
    dek_uuid = bytes(range(0xA0, 0xB0))
    column = bytes(range(0xC0, 0xD0))
    tail, whole = bytes(range(0x30, 0x3C)), bytes(range(0x60, 0x78))
    tag = b"\x01" + bytes(range(0xE0, 0xEB))
    row = (7, 3, 0x0123456789ABCDEF, 0xFEDCBA9876543210)
    vectors = [
        seal("unbound, one byte", key, 1, dek_uuid, whole, b"x"),
        seal("unbound, empty", key, 1, dek_uuid, whole, b""),
        seal("unbound, text", b"\x03" * 32, 0xFFFFFFFF, dek_uuid, whole, b"123-45-6789"),
        seal("bound, text", key, 0x01020304, dek_uuid, tail, "Zoë Ærø".encode(), row, column),
        seal("bound, no primary key", key, 2, dek_uuid, tail, b"7", (65535, 0, 2**64 - 1, 0), column),
        seal("bound, empty", key, 2, dek_uuid, tail, b"", row, column),
        seal("searchable, text", key, 2, dek_uuid, tail, b"123-45-6789", row, column, tag),
        seal("searchable, 100 bytes", b"\x03" * 32, 2, dek_uuid, tail, bytes(range(100)), row, column, tag),
    ]
    print(json.dumps({
        "format": "phi_guard envelope, format 1",
        "how": "computed by envelope.py; binary fields and 64-bit tokens are hexadecimal",
        "vectors": vectors,
        "reject": rejects(vectors[0]),
    }, indent=1))


main()
