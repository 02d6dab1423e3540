// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IBalancerVault} from "../../src/interfaces/IBalancerVault.sol";
import {IERC20} from "../../src/interfaces/IERC20.sol";
import {IPoolManager} from "../../src/interfaces/IPoolManager.sol";

// Stand-ins for protocols whose bytecode may not be committed. Their interfaces, their order of transfers and their
// checks are those of the originals; their prices are fixed rates, because FlashArb has no part in prices.

/// @title Moves tokens as Curve's and Balancer's pools do: an answer of nothing is a yes.
abstract contract Moves {
    function pull(address token, uint256 amount) internal {
        (bool done, bytes memory answer) =
            token.call(abi.encodeWithSignature("transferFrom(address,address,uint256)", msg.sender, this, amount));
        require(done && (answer.length == 0 || abi.decode(answer, (bool))), "pull");
    }

    function send(address token, address to, uint256 amount) internal {
        (bool done, bytes memory answer) = token.call(abi.encodeCall(IERC20.transfer, (to, amount)));
        require(done && (answer.length == 0 || abi.decode(answer, (bool))), "send");
    }
}

/// @title A token that anybody may mint, for shares of pools and vaults.
contract ShareToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    function mint(address to, uint256 amount) public {
        balanceOf[to] += amount;
        totalSupply += amount;
    }

    function burnFrom(address from, uint256 amount) public {
        balanceOf[from] -= amount;
        totalSupply -= amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @title Called like a Curve pool: by int128 or by uint256 indices, with or without an answer, ether among the coins.
/// @dev A coin's rate is what one unit is worth, times 1e18; the LP token is worth one. Of the overloads only those
/// that such a pool has are open, so that a call of the wrong one fails here as there.
contract CurveLike is Moves {
    address private constant ETHER = 0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE;

    address[] public coins;
    uint256[] public rates;
    ShareToken public immutable lp = new ShareToken();
    bool public immutable uintIndices;
    bool public immutable silent;
    bool public immutable dynamic;

    constructor(address[] memory coins_, uint256[] memory rates_, bool uintIndices_, bool silent_, bool dynamic_)
        payable
    {
        coins = coins_;
        rates = rates_;
        uintIndices = uintIndices_;
        silent = silent_;
        dynamic = dynamic_;
    }

    function exchange(int128 i, int128 j, uint256 dx, uint256 least) external payable {
        require(!uintIndices, "no such function");
        exchange_(uint256(int256(i)), uint256(int256(j)), dx, least);
    }

    function exchange(uint256 i, uint256 j, uint256 dx, uint256 least) external payable {
        require(uintIndices, "no such function");
        exchange_(i, j, dx, least);
    }

    function add_liquidity(uint256[2] calldata amounts, uint256 least) external payable {
        require(coins.length == 2 && !dynamic, "no such function");
        uint256[] memory list = new uint256[](2);
        for (uint256 n = 0; n < 2; ++n) list[n] = amounts[n];
        add_(list, least);
    }

    function add_liquidity(uint256[3] calldata amounts, uint256 least) external payable {
        require(coins.length == 3 && !dynamic, "no such function");
        uint256[] memory list = new uint256[](3);
        for (uint256 n = 0; n < 3; ++n) list[n] = amounts[n];
        add_(list, least);
    }

    function add_liquidity(uint256[4] calldata amounts, uint256 least) external payable {
        require(coins.length == 4 && !dynamic, "no such function");
        uint256[] memory list = new uint256[](4);
        for (uint256 n = 0; n < 4; ++n) list[n] = amounts[n];
        add_(list, least);
    }

    function add_liquidity(uint256[] calldata amounts, uint256 least) external payable {
        require(coins.length == amounts.length && dynamic, "no such function");
        add_(amounts, least);
    }

    function remove_liquidity_one_coin(uint256 amount, int128 j, uint256 least) external {
        require(!uintIndices, "no such function");
        remove_(amount, uint256(int256(j)), least);
    }

    function remove_liquidity_one_coin(uint256 amount, uint256 j, uint256 least) external {
        require(uintIndices, "no such function");
        remove_(amount, j, least);
    }

    function exchange_(uint256 i, uint256 j, uint256 dx, uint256 least) private {
        uint256 dy = dx * rates[i] / rates[j];
        require(dy >= least, "slippage");
        take(i, dx);
        require(coins[i] == ETHER || msg.value == 0, "ether");
        give(j, dy);
        answer(dy);
    }

    function add_(uint256[] memory amounts, uint256 least) private {
        uint256 minted;
        bool ether_;
        for (uint256 n = 0; n < amounts.length; ++n) {
            if (coins[n] == ETHER) ether_ = true;
            if (amounts[n] == 0 && coins[n] != ETHER) continue;
            take(n, amounts[n]);
            minted += amounts[n] * rates[n] / 1e18;
        }
        require(ether_ || msg.value == 0, "ether");
        require(minted >= least, "slippage");
        lp.mint(msg.sender, minted);
        answer(minted);
    }

    function remove_(uint256 amount, uint256 j, uint256 least) private {
        uint256 dy = amount * 1e18 / rates[j];
        require(dy >= least, "slippage");
        lp.burnFrom(msg.sender, amount);
        give(j, dy);
        answer(dy);
    }

    function take(uint256 i, uint256 amount) private {
        if (coins[i] == ETHER) require(msg.value == amount, "ether");
        else pull(coins[i], amount);
    }

    function give(uint256 j, uint256 amount) private {
        if (coins[j] != ETHER) return send(coins[j], msg.sender, amount);
        (bool done,) = msg.sender.call{value: amount}("");
        require(done, "refused");
    }

    function answer(uint256 amount) private view {
        if (silent) return;
        assembly {
            mstore(0x00, amount)
            return(0x00, 0x20)
        }
    }

    receive() external payable {}
}

/// @title Called like an ERC-4626 vault.
contract Erc4626Like is ShareToken, Moves {
    address public immutable asset;
    uint256 public immutable sharesPerAsset;

    constructor(address asset_, uint256 sharesPerAsset_) {
        asset = asset_;
        sharesPerAsset = sharesPerAsset_;
    }

    function deposit(uint256 assets, address receiver) external returns (uint256 shares) {
        shares = assets * sharesPerAsset / 1e18;
        pull(asset, assets);
        mint(receiver, shares);
    }

    function redeem(uint256 shares, address receiver, address owner) external returns (uint256 assets) {
        require(owner == msg.sender, "no allowance");
        assets = shares * 1e18 / sharesPerAsset;
        burnFrom(owner, shares);
        send(asset, receiver, assets);
    }
}

/// @title Called like wstETH.
contract WstEthLike is ShareToken, Moves {
    address public immutable stETH;
    uint256 public immutable perStEth;

    constructor(address stEth_, uint256 perStEth_) {
        stETH = stEth_;
        perStEth = perStEth_;
    }

    function wrap(uint256 amount) external returns (uint256 out) {
        out = amount * perStEth / 1e18;
        mint(msg.sender, out);
        pull(stETH, amount);
    }

    function unwrap(uint256 amount) external returns (uint256 out) {
        out = amount * 1e18 / perStEth;
        burnFrom(msg.sender, amount);
        send(stETH, msg.sender, out);
    }
}

interface IVaultRegistry {
    function registerPool(uint8 specialization) external returns (bytes32 poolId);
    function registerTokens(bytes32 poolId, address[] calldata tokens, address[] calldata managers) external;
    function joinPool(bytes32 poolId, address sender, address recipient, JoinPoolRequest calldata request)
        external
        payable;
}

struct JoinPoolRequest {
    address[] assets;
    uint256[] maxAmountsIn;
    bytes userData;
    bool fromInternalBalance;
}

struct SwapRequest {
    uint8 kind;
    address tokenIn;
    address tokenOut;
    uint256 amount;
    bytes32 poolId;
    uint256 lastChangeBlock;
    address from;
    address to;
    bytes userData;
}

/// @title A pool of Balancer's real vault that knows its prices only.
contract VaultPool is Moves {
    address public immutable vault;
    bytes32 public immutable poolId;
    mapping(address => uint256) public rates;

    constructor(address vault_, address[] memory tokens, uint256[] memory rates_) {
        vault = vault_;
        poolId = IVaultRegistry(vault_).registerPool(1);
        IVaultRegistry(vault_).registerTokens(poolId, tokens, new address[](tokens.length));
        for (uint256 n = 0; n < tokens.length; ++n) rates[tokens[n]] = rates_[n];
    }

    /// @notice Puts what this contract holds into the vault.
    function join(address[] calldata tokens) external {
        uint256[] memory amounts = new uint256[](tokens.length);
        for (uint256 n = 0; n < tokens.length; ++n) {
            amounts[n] = IERC20(tokens[n]).balanceOf(address(this));
            (bool done,) = tokens[n].call(abi.encodeCall(IERC20.approve, (vault, amounts[n])));
            require(done, "approve");
        }
        IVaultRegistry(vault).joinPool(
            poolId, address(this), address(this), JoinPoolRequest(tokens, amounts, abi.encode(amounts), false)
        );
    }

    function onJoinPool(
        bytes32,
        address,
        address,
        uint256[] calldata balances,
        uint256,
        uint256,
        bytes calldata data
    ) external pure returns (uint256[] memory amounts, uint256[] memory fees) {
        return (abi.decode(data, (uint256[])), new uint256[](balances.length));
    }

    function onSwap(SwapRequest calldata request, uint256, uint256) external view returns (uint256) {
        require(request.kind == uint8(IBalancerVault.SwapKind.GIVEN_IN), "kind");
        return request.amount * rates[request.tokenIn] / rates[request.tokenOut];
    }
}

/// @title A pair as Solidly has it: a fee that leaves with the swap, and a callback of its own name.
contract SolidlyLike is Moves {
    address public immutable token0;
    address public immutable token1;
    address public constant FEES = address(0xfee5);
    uint256 public reserve0;
    uint256 public reserve1;
    bool private locked;

    constructor(address token0_, address token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    function sync() public {
        reserve0 = IERC20(token0).balanceOf(address(this));
        reserve1 = IERC20(token1).balanceOf(address(this));
    }

    function getAmountOut(uint256 amountIn, address tokenIn) external view returns (uint256) {
        uint256 fed = amountIn - amountIn / 10000;
        (uint256 a, uint256 b) = tokenIn == token0 ? (reserve0, reserve1) : (reserve1, reserve0);
        return fed * b / (a + fed);
    }

    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external {
        require(!locked, "locked");
        locked = true;
        if (out0 > 0) send(token0, to, out0);
        if (out1 > 0) send(token1, to, out1);
        if (data.length > 0) {
            (bool called, bytes memory reason) = to.call(
                abi.encodeWithSignature("hook(address,uint256,uint256,bytes)", msg.sender, out0, out1, data)
            );
            if (!called) {
                assembly {
                    revert(add(reason, 0x20), mload(reason))
                }
            }
        }
        uint256 in0 = paid(token0, reserve0 - out0);
        uint256 in1 = paid(token1, reserve1 - out1);
        if (in0 > 0) send(token0, FEES, in0 / 10000);
        if (in1 > 0) send(token1, FEES, in1 / 10000);
        uint256 before = reserve0 * reserve1;
        sync();
        require(reserve0 * reserve1 >= before, "K");
        locked = false;
    }

    function paid(address token, uint256 expected) private view returns (uint256) {
        uint256 balance = IERC20(token).balanceOf(address(this));
        return balance > expected ? balance - expected : 0;
    }
}

/// @title Uniswap V4's manager as a caller sees it: accounts, unlocking, `sync` and `settle`, and an even end.
/// @dev Pools give a fixed rate; `hooks` are called in the middle of a swap, to do there what they like.
contract ManagerLike is Moves, IPoolManager {
    mapping(bytes32 => uint256) public rates;
    mapping(address => mapping(address => int256)) public deltas;
    uint256 public open;
    bool public unlocked;
    address private synced;
    uint256 private before;

    /// @notice What one unit of currency 0 is worth in currency 1, times 1e18.
    function initialize(PoolKey calldata key, uint256 rate) external {
        rates[keccak256(abi.encode(key))] = rate;
    }

    function unlock(bytes calldata data) external returns (bytes memory answer) {
        require(!unlocked, "AlreadyUnlocked");
        unlocked = true;
        (bool done, bytes memory reason) = msg.sender.call(abi.encodeWithSignature("unlockCallback(bytes)", data));
        if (!done) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        answer = abi.decode(reason, (bytes));
        require(open == 0, "CurrencyNotSettled");
        unlocked = false;
    }

    function swap(PoolKey calldata key, SwapParams calldata params, bytes calldata) external returns (int256 delta) {
        require(unlocked, "ManagerLocked");
        uint256 rate = rates[keccak256(abi.encode(key))];
        require(rate != 0 && params.amountSpecified < 0, "PoolNotInitialized");
        if (key.hooks != address(0)) {
            (bool done,) = key.hooks.call(abi.encodeWithSignature("attack()"));
            require(done, "hooks");
        }
        uint256 amount = uint256(-params.amountSpecified);
        int256 out = int256(params.zeroForOne ? amount * rate / 1e18 : amount * 1e18 / rate);
        (int256 delta0, int256 delta1) =
            params.zeroForOne ? (params.amountSpecified, out) : (out, params.amountSpecified);
        account(key.currency0, delta0);
        account(key.currency1, delta1);
        return (delta0 << 128) | int256(uint256(uint128(int128(delta1))));
    }

    function take(address currency, address to, uint256 amount) external {
        require(unlocked, "ManagerLocked");
        account(currency, -int256(amount));
        if (currency != address(0)) return send(currency, to, amount);
        (bool done,) = to.call{value: amount}("");
        require(done, "refused");
    }

    function sync(address currency) external {
        synced = currency;
        before = currency == address(0) ? 0 : IERC20(currency).balanceOf(address(this));
    }

    function settle() external payable returns (uint256 paid) {
        require(unlocked, "ManagerLocked");
        if (synced == address(0)) {
            paid = msg.value;
        } else {
            require(msg.value == 0, "NonzeroNativeValue");
            paid = IERC20(synced).balanceOf(address(this)) - before;
        }
        account(synced, int256(paid));
        synced = address(0);
    }

    function account(address currency, int256 change) private {
        int256 was = deltas[msg.sender][currency];
        deltas[msg.sender][currency] = was + change;
        if (was == 0 && change != 0) open += 1;
        if (was != 0 && was + change == 0) open -= 1;
    }

    receive() external payable {}
}
