// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IModelReader, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Listing} from "./libraries/Listing.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title ModelRegistry: the specification is IModelRegistry.
contract ModelRegistry is IModelRegistry, Initializable {
    struct Current {
        uint32 version;
        address pointer;
        uint32 publishedAt;
        uint32 asOf;
    }

    address public federation;
    uint16 public dimension;
    IModelReader public reader;
    Layout public layout;
    Current public current;
    mapping(uint32 => Version) private _versions;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IModelRegistry
    function initialize(
        address federation_,
        uint16 dimension_,
        Layout calldata layout_,
        bytes calldata genesis,
        IModelReader reader_
    ) external initializer {
        if (dimension_ == 0 || dimension_ > VectorLib.MAX_DIMENSION) revert BadDimension(dimension_);
        if (layout_.pillars != 0) {
            uint256 block_ = uint256(layout_.pillars) * layout_.width + layout_.tail;
            if (layout_.pillars > Listing.MAX_PILLARS || layout_.markets * block_ != dimension_) revert BadLayout();
        }
        federation = federation_;
        dimension = dimension_;
        layout = layout_;
        reader = reader_;
        _publish(genesis, sha256(genesis), 0, uint32(block.timestamp));
    }

    /// @inheritdoc IModelRegistry
    function publish(bytes calldata model, bytes32 contentId, uint24 round, uint32 asOf)
        external
        returns (uint32 version)
    {
        if (msg.sender != federation) revert NotFederation(msg.sender);
        version = _publish(model, contentId, round, asOf);
        if (address(reader) != address(0)) reader.modelPublished(version, current.pointer, asOf);
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

    /// @inheritdoc IModelRegistry
    function carried(uint256 asOf) external view returns (bytes memory model) {
        Current memory c = current;
        Layout memory l = layout;
        model = SSTORE2.read(c.pointer);
        if (l.pillars != 0 && asOf > c.asOf) {
            model = Listing.carry(model, l.markets, l.pillars, l.width, l.tail, c.asOf, asOf);
        }
    }

    function _publish(bytes calldata model, bytes32 contentId, uint24 round, uint32 asOf)
        private
        returns (uint32 version)
    {
        uint256 expected = VectorLib.byteLength(dimension);
        if (model.length != expected) revert WrongModelLength(model.length, expected);
        address pointer = SSTORE2.write(model);
        version = current.version + 1;
        current = Current(version, pointer, uint32(block.timestamp), asOf);
        _versions[version] = Version(contentId, pointer, round, uint40(block.timestamp), asOf);
        emit ModelPublished(version, round, contentId, pointer);
    }
}
