"""Sealed credentials: a token travels as a compact JWE (RFC 7516) for one provider, and only we can open it."""

from tasks.sealing.envelope import ENCRYPTION as ENCRYPTION
from tasks.sealing.envelope import is_canonical_compact as is_canonical_compact
from tasks.sealing.envelope import kid_of as kid_of
from tasks.sealing.envelope import named_kids as named_kids
from tasks.sealing.jwe import seal as seal
from tasks.sealing.keys import ALGORITHMS as ALGORITHMS
from tasks.sealing.keys import CURVES as CURVES
from tasks.sealing.keys import SealError as SealError
from tasks.sealing.keys import SealingKey as SealingKey
from tasks.sealing.keys import SealProblem as SealProblem
from tasks.sealing.keys import UnknownKeyError as UnknownKeyError
from tasks.sealing.keys import generate_key as generate_key
from tasks.sealing.keys import public_jwks as public_jwks
from tasks.sealing.keys import save_key as save_key
from tasks.sealing.ring import KeyRing as KeyRing
from tasks.sealing.ring import Unsealer as Unsealer
from tasks.sealing.ring import load_keys as load_keys
