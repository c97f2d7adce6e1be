"""Many reads in one `eth_call`, all of one block: see contracts/periphery/Lens.sol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

from eth_abi import decode, encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import AddressDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import ABIType, TupleType, parse
from eth_abi.registry import BaseEquals, registry
from eth_utils import to_checksum_address
from eth_utils.abi import collapse_if_tuple
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.exceptions import BadFunctionCallOutput, ContractLogicError

from fedvol.chain.client import WrongChain

ROOM_WORDS = 24_576 // 32 - 9
"""Of an answer: the chain bounds what creation code returns."""

LONG_WORDS = 258
"""Reserved for an answer whose length its type leaves open: what the largest model takes."""

Call = ContractFunction | str
"""A view of a contract with its arguments, or an address: its balance in wei."""


@dataclass(frozen=True)
class Seen:
    """What some calls answer at one block.

    Attributes:
        time: the block's, unix seconds.
        answers: in the order of the calls, as `ContractFunction.call` gives them; several outputs are a tuple.
    """

    block: int
    time: int
    answers: list[Any]


def look(
    web3: Web3, calls: Sequence[Call], block: int | None = None, *, chain_id: int | None = None, may_fail: bool = False
) -> Seen:
    """Calls all, at one block (the latest by default), in as few requests as the chain's bounds allow: mostly one.

    Args:
        chain_id: the chain that is meant; None takes any. Behind a checked connection an endpoint may be moved.
        may_fail: the answer to a call that fails is None.

    Raises:
        WrongChain: another chain answers.
        ContractLogicError: a call reverts.
        BadFunctionCallOutput: a target is no such contract.
    """
    time, answers = 0, []  # without calls it asks nothing
    for part in _batches(calls):
        actual, block, time, found = _look(web3, part, block)
        if chain_id not in (None, actual):
            raise WrongChain(actual, chain_id)
        for call, (done, data) in zip(part, found, strict=True):
            try:
                answers.append(_read(call, done, data))
            except (ContractLogicError, BadFunctionCallOutput):
                if not may_fail:
                    raise
                answers.append(None)
    return Seen(block, time, answers)


def _look(web3: Web3, calls: Sequence[Call], block: int | None) -> tuple[int, int, int, Sequence[tuple[bool, bytes]]]:
    targets = [call if isinstance(call, str) else call.address for call in calls]
    asked = [b"" if isinstance(call, str) else bytes.fromhex(call._encode_transaction_data()[2:]) for call in calls]
    data = _creation_code() + encode(["address[]", "bytes[]"], [targets, asked])
    answer = web3.eth.call({"data": data}, "latest" if block is None else block)
    return decode(["uint256", "uint256", "uint256", "(bool,bytes)[]"], answer)


def _read(call: Call, done: bool, data: bytes) -> Any:
    if isinstance(call, str):
        return int.from_bytes(data, "big")
    if not done:
        raise ContractLogicError(f"{call.fn_name} reverts", data=f"0x{data.hex()}")
    try:
        values = _decoder().decode(_outputs(call), data)
    except DecodingError as error:
        raise BadFunctionCallOutput(f"{call.address} has no {call.fn_name}") from error
    return values[0] if len(values) == 1 else values


def _outputs(call: ContractFunction) -> list[str]:
    return [collapse_if_tuple(output) for output in call.abi["outputs"]]


def _batches(calls: Sequence[Call]) -> Iterator[list[Call]]:
    batch, room = [], ROOM_WORDS
    for call in calls:
        # Where it lies, whether it succeeded, where its data lies, and its length.
        needed = 4 + (1 if isinstance(call, str) else sum(_words(parse(kind)) for kind in _outputs(call)))
        if batch and needed > room:
            yield batch
            batch, room = [], ROOM_WORDS
        batch.append(call)
        room -= needed
    if batch:
        yield batch


def _words(kind: ABIType) -> int:
    """What a value takes at most."""
    if kind.is_dynamic:
        return LONG_WORDS
    inner = sum(map(_words, kind.components)) if isinstance(kind, TupleType) else 1
    return inner * prod(size for (size,) in kind.arrlist or ())


class _Checksummed(AddressDecoder):
    decoder_fn = staticmethod(to_checksum_address)


@cache
def _decoder() -> ABIDecoder:
    """Addresses as web3 gives them."""
    own = registry.copy()
    own.unregister_decoder("address")
    own.register_decoder(BaseEquals("address"), _Checksummed, label="address")
    return ABIDecoder(own)


@cache
def _creation_code() -> bytes:
    return bytes.fromhex((files("fedvol.chain") / "abi" / "Lens.hex").read_text().strip()[2:])
