// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IModelReader, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title ModelRegistry: the specification is IModelRegistry.
contract ModelRegistry is IModelRegistry, Initializable {
    struct Current {
        uint32 version;
        address pointer;
        uint40 publishedAt;
    }

    address public federation;
    uint16 public dimension;
    IModelReader public reader;
    Current public current;
    mapping(uint32 => Version) private _versions;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IModelRegistry
    function initialize(address federation_, uint16 dimension_, bytes calldata genesis, IModelReader reader_)
        external
        initializer
    {
        if (dimension_ == 0 || dimension_ > VectorLib.MAX_DIMENSION) revert BadDimension(dimension_);
        federation = federation_;
        dimension = dimension_;
        reader = reader_;
        _publish(genesis, sha256(genesis), 0);
    }

    /// @inheritdoc IModelRegistry
    function publish(bytes calldata model, bytes32 contentId, uint24 round) external returns (uint32 version) {
        if (msg.sender != federation) revert NotFederation(msg.sender);
        version = _publish(model, contentId, round);
        if (address(reader) != address(0)) reader.modelPublished(version, current.pointer);
    }

    function _publish(bytes calldata model, bytes32 contentId, uint24 round) private returns (uint32 version) {
        uint256 expected = VectorLib.byteLength(dimension);
        if (model.length != expected) revert WrongModelLength(model.length, expected);
        address pointer = SSTORE2.write(model);
        version = current.version + 1;
        current = Current(version, pointer, uint40(block.timestamp));
        _versions[version] = Version(contentId, pointer, round, uint40(block.timestamp));
        emit ModelPublished(version, round, contentId, pointer);
    }

    /// @inheritdoc IModelRegistry
    function versionAt(uint32 version) public view returns (Version memory record) {
        record = _versions[version];
        if (record.pointer == address(0)) revert UnknownVersion(version);
    }

    /// @inheritdoc IModelRegistry
    function modelOf(uint32 version) external view returns (bytes memory) {
        return SSTORE2.read(versionAt(version).pointer);
    }
}
