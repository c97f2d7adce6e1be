"""Masks: what hides an update inside its cluster, what a node commits to of them, and what it opens.

Twin of `contracts/libraries/MaskLib.sol`. In the BN254 scalar field, word by word, u the node's place, v another's:

    y_u = pack(u) + M(b_u) + Σ_{v>u} M(k_uv) − Σ_{v<u} M(k_uv)
    M(k) = Poseidon2 in counter mode (`fedvol.protocol.poseidon2.mask_words`)
    k_uv = Poseidon2(x of the Grumpkin ECDH point, context, 2^8 · lower seat + higher seat)
    context = keccak256(abi.encode(MASK_TYPEHASH, chainid, federation, round, seed)) mod r

Among those whose vectors count the pair masks cancel in the sum; b_u stays with its owner until they are known.
Key 0 stands for no mask: pairs in which either has no registered key, or one that is not on the curve, share none.
After K. Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017, without its
secret sharing: a survivor that does not unmask voids its cluster instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eth_abi import encode
from eth_utils import keccak

from fedvol.errors import WireError
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import Point, is_on_curve, shared_x
from fedvol.protocol.poseidon2 import FIELD, mask_words, sponge
from fedvol.protocol.vector import WORD_BYTES

MASK_TYPEHASH = keccak(text="FedVolMask(uint256 chainId,address federation,uint24 round,uint64 seed)")
NO_KEY = 0
MOST_CLAIMS = 16
_CLAIM_BITS, _WORD_BITS = 16, 10


def context(where: RoundId) -> int:
    """A field element that binds chain, federation, round and seed."""
    values = [MASK_TYPEHASH, where.chain_id, where.federation, where.round, where.seed]
    digest = keccak(encode(["bytes32", "uint256", "address", "uint24", "uint64"], values))
    return int.from_bytes(digest, "big") % FIELD


def pair_key(secret: int, peer: Point, where: RoundId, seat: int, peer_seat: int) -> int:
    """What two nodes derive alike, each from its own secret and the other's public key; `NO_KEY` if that is no key.

    Args:
        secret: 1..ORDER-1 of Grumpkin.
        peer: the other's registered point; (0, 0) where it has none.
    """
    if not is_on_curve(peer):
        return NO_KEY
    low, high = sorted((seat, peer_seat))
    return sponge([shared_x(secret, peer), context(where), low << 8 | high])[0]


def mask(data: bytes, self_key: int, pair_keys: Sequence[int], place: int) -> bytes:
    """The masked vector.

    Args:
        data: packed update (or packed weighted update).
        pair_keys: one for each place of the cluster; ignored at `place`.
        place: the node's own, 0..m-1.
    """
    return _wear(data, self_key, pair_keys, place, 1)


def unmasked(data: bytes, self_key: int, pair_keys: Sequence[int], place: int) -> bytes:
    """What `mask` made a masked vector of."""
    return _wear(data, self_key, pair_keys, place, -1)


def _wear(data: bytes, self_key: int, pair_keys: Sequence[int], place: int, times: int) -> bytes:
    count = len(data) // WORD_BYTES
    total = words_of_bytes(data)
    for other, key in enumerate([*pair_keys, self_key]):
        if other == place or key == NO_KEY:
            continue
        sign = -times if other < place else times
        total = [a + sign * b for a, b in zip(total, mask_words(key, count), strict=True)]
    return b"".join((word % FIELD).to_bytes(WORD_BYTES, "big") for word in total)


def words_of_bytes(data: bytes) -> list[int]:
    """Whole words as integers."""
    return [int.from_bytes(data[i : i + WORD_BYTES], "big") for i in range(0, len(data), WORD_BYTES)]


# ---------------------------------------------------------------------- what is committed to, and opened


def key_hash(key: int) -> bytes:
    """SHA-256: cheap to open inside a proof."""
    return _sha256(key.to_bytes(32, "big"))


def annex(self_key: int, pair_keys: Sequence[int], place: int) -> bytes:
    """What a node commits to: the hash of its keys, each hashed by itself."""
    return _annex(key_hash(self_key), keccak(b"".join(_ring(pair_keys, place, missing=0))))


def opening(self_key: int, pair_keys: Sequence[int], place: int, missing: int) -> list[bytes]:
    """What a survivor shows: its self key; then the ring's hash, or, if anybody is missing, the ring itself: the keys
    that it shares with the missing, and hashes of all others.

    Args:
        missing: bit j is set where the j-th of the cluster is missing; not the node itself.
    """
    if missing >> place & 1:
        raise WireError("A node that is missing opens no key.", "It is not asked to; sit the round out.")
    ring = _ring(pair_keys, place, missing)
    return [self_key.to_bytes(32, "big"), *(ring if missing else [keccak(b"".join(ring))])]


def annex_of(keys: Sequence[bytes], missing: int, m: int) -> bytes:
    """The annex that an opening opens.

    Raises:
        WireError: it has a wrong number of keys.
    """
    expected = m + 1 if missing else 2
    if len(keys) != expected:
        raise WireError(f"An opening has {len(keys)} keys where {expected} are due.", "It opens nothing.")
    pairs = keys[1]
    if missing:
        pairs = keccak(b"".join(_sha256(k) if missing >> j & 1 else k for j, k in enumerate(keys[1:])))
    return _annex(_sha256(keys[0]), pairs)


def masks_left(keys: Sequence[bytes], missing: int, place: int) -> list[tuple[int, int]]:
    """(key, sign) of the masks of one survivor that its cluster's sum still wears, as it opened them."""
    left = [(int.from_bytes(keys[0], "big"), 1)]
    if missing:
        ring = enumerate(keys[1:])
        left += [(int.from_bytes(k, "big"), 1 if j > place else -1) for j, k in ring if missing >> j & 1]
    return [(key % FIELD, sign) for key, sign in left if key % FIELD != NO_KEY]


def annex_of_hashes(self_hash: bytes, pair_hashes: Sequence[bytes]) -> bytes:
    """The annex that these hashes make; 32 zero bytes at the own place."""
    return _annex(self_hash, keccak(b"".join(pair_hashes)))


def _annex(self_hash: bytes, pairs_hash: bytes) -> bytes:
    return keccak(self_hash + pairs_hash)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _ring(pair_keys: Sequence[int], place: int, missing: int) -> list[bytes]:
    ring = []
    for j, key in enumerate(pair_keys):
        shown = key.to_bytes(32, "big")
        ring.append(bytes(32) if j == place else shown if missing >> j & 1 else _sha256(shown))
    return ring


# ---------------------------------------------------------------------- claims


def pack_claims(voids: dict[int, int]) -> int:
    """A proposer's claims that clusters have no sum: the first word that is none, by cluster.

    Raises:
        WireError: more than 16 of them.
    """
    if len(voids) > MOST_CLAIMS:
        raise WireError(f"{len(voids)} clusters have no sum; {MOST_CLAIMS} can be claimed.", "The round ends void.")
    claims = 0
    for i, (cluster, word) in enumerate(sorted(voids.items())):
        claims |= (cluster + 1 << _WORD_BITS | word) << (_CLAIM_BITS * i)
    return claims


def unpack_claims(claims: int) -> list[tuple[int, int]]:
    """(cluster, word) of each claim; cluster −1 where a claim is empty but others follow."""
    found = []
    while claims:
        claim = claims & ((1 << _CLAIM_BITS) - 1)
        found.append(((claim >> _WORD_BITS) - 1, claim & ((1 << _WORD_BITS) - 1)))
        claims >>= _CLAIM_BITS
    return found
