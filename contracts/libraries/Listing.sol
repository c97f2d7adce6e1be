// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DateTimeLib} from "solady/utils/DateTimeLib.sol";

/// @title Which expiries a surface has at a time, and whose weights a new one starts from.
/// @notice The calendar of the large option venues, at 08:00 UTC: the next four days, the next four Fridays, the last Friday of
/// the next three months, then of March, June, September and December. What ends within the hour is left out. A pure
/// function of time, so nobody lists anything, and every node and the chain agree on what a weight stands for.
/// @dev Twin of `offchain/fedvol/protocol/listing.py`.
library Listing {
    uint256 internal constant MAX_PILLARS = 16;
    uint256 private constant HOUR_OF_EXPIRY = 8 hours;
    uint256 private constant LEAST_TENOR = 1 hours;
    uint256 private constant DAYS = 4;
    uint256 private constant FRIDAYS = 4;
    uint256 private constant MONTHS = 3;

    /// @notice The first `count` listed expiries, unix seconds, strictly rising.
    /// @param asOf Unix seconds, 1970 to 2100. @param count 0 to 16.
    function expiries(uint256 asOf, uint256 count) internal pure returns (uint256[] memory list) {
        unchecked {
            list = new uint256[](count);
            uint256 first = _firstDay(asOf);
            uint256 last;
            uint256 n;
            for (uint256 i; i < DAYS && n < count; ++i) list[n++] = _at(last = first + i);
            uint256 friday = first + (8 - first % 7) % 7; // day 1 of 1970 was one
            for (uint256 i; i < FRIDAYS && n < count; ++i) {
                if (friday + 7 * i > last) list[n++] = _at(last = friday + 7 * i);
            }
            (uint256 year, uint256 month,) = DateTimeLib.epochDayToDate(asOf / 1 days);
            for (uint256 months; n < count;) {
                uint256 end = _lastFriday(year, month);
                if (end >= first) ++months;
                if (end > last && (months <= MONTHS || month % 3 == 0)) list[n++] = _at(last = end);
                if (++month > 12) (year, month) = (year + 1, 1);
            }
        }
    }

    /// @notice A model as of one time read as of a later one: expiries that stay keep their weights, a new one starts from those of
    /// the nearest, of two that are as near the earlier.
    /// @param model Words of 8 int32 weights: for each market `pillars` times `width` weights, then `tail` that hang on no expiry.
    /// @param before The time it is as of. @param later Not earlier.
    function carry(
        bytes memory model,
        uint256 markets,
        uint256 pillars,
        uint256 width,
        uint256 tail,
        uint256 before,
        uint256 later
    ) internal pure returns (bytes memory carried) {
        unchecked {
            if (_firstDay(before) == _firstDay(later)) return model; // all follows from it
            carried = bytes.concat(model);
            uint256[] memory old = expiries(before, pillars);
            uint256[] memory list = expiries(later, pillars);
            uint256 source;
            for (uint256 j; j < pillars; ++j) {
                while (source + 1 < pillars && _distance(old[source + 1], list[j]) < _distance(old[source], list[j])) ++source;
                if (source == j) continue;
                for (uint256 market; market < markets; ++market) {
                    uint256 block_ = market * (pillars * width + tail);
                    for (uint256 i; i < width; ++i) {
                        _copy(model, block_ + source * width + i, carried, block_ + j * width + i);
                    }
                }
            }
        }
    }

    /// @dev Since 1970, of the first listed expiry.
    function _firstDay(uint256 asOf) private pure returns (uint256) {
        unchecked {
            return (asOf + LEAST_TENOR + 1 days - HOUR_OF_EXPIRY) / 1 days;
        }
    }

    function _copy(bytes memory model, uint256 from, bytes memory carried, uint256 to) private pure {
        assembly ("memory-safe") {
            let weight := shr(224, mload(add(add(model, 32), shl(2, from))))
            let place := add(add(carried, 4), shl(2, to))
            let word := mload(place)
            mstore(place, or(and(word, not(0xffffffff)), weight))
        }
    }

    function _distance(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            return a > b ? a - b : b - a;
        }
    }

    function _at(uint256 day) private pure returns (uint256) {
        unchecked {
            return day * 1 days + HOUR_OF_EXPIRY;
        }
    }

    /// @dev Its day since 1970.
    function _lastFriday(uint256 year, uint256 month) private pure returns (uint256 day) {
        unchecked {
            day = DateTimeLib.dateToEpochDay(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) - 1;
            day -= (day + 6) % 7;
        }
    }
}
