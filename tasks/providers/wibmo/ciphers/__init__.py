"""Ciphers for a provider whose messages are encrypted bodies: a named, configured scheme, since none is published.

What is known: "AES CBC 192 with PKCS5 padding" and "ECB or CBC" of a sister product of the vendor, whose samples are
standard base64 of whole 16-byte blocks. Everything else (mode, key length, IV, coding) is therefore a setting.
"""
