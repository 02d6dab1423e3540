// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {Moves} from "./Moves.sol";

/// @title The share of a DevStableSwap pool, which alone makes and unmakes it.
contract DevStableSwapToken is ERC20 {
    address public immutable pool;

    error NotPool(address caller);

    constructor(address pool_) ERC20("Devnet stable pool", "devSTABLE") {
        pool = pool_;
    }

    function mint(address to, uint256 amount) external {
        if (msg.sender != pool) revert NotPool(msg.sender);
        _mint(to, amount);
    }

    function burnFrom(address from, uint256 amount) external {
        if (msg.sender != pool) revert NotPool(msg.sender);
        _burn(from, amount);
    }
}

/// @title A StableSwap pool for development chains: two coins, of 18 and of 6 decimals.
/// @notice Written anew from the published invariant. Interface, order of rounding and places in storage are those of
/// Curve's two-coin template, whose own code allows no copies; tests compare both, call by call. What a development
/// chain has no use for is not here: the start of a ramp of A, a kill switch, withdrawals of all coins, an admin.
/// @dev With balances x in 18 decimals, n coins and ann = A n:  ann sum(x) + D = ann D + D^(n+1) / (n^n prod(x)).
contract DevStableSwap {
    using Moves for address;

    uint256 private constant N = 2;
    uint256 private constant ONE = 1e18;
    uint256 private constant FEE_ONE = 1e10;
    uint256 private constant A_ONE = 100;
    uint256 private constant ROUNDS = 255;
    /// @dev What brings each coin to 18 decimals, times ONE.
    uint256 private constant RATE_0 = 1e18;
    uint256 private constant RATE_1 = 1e30;

    uint256 private entered; // slot 0
    address[N] public coins; // 1
    uint256[N] public balances; // 3
    uint256 public fee; // 5, of FEE_ONE
    uint256 public admin_fee; // 6, the admin's part of the fee, of FEE_ONE
    address public owner; // 7
    address public lp_token; // 8
    uint256 public initial_A; // 9, times A_ONE
    uint256 public future_A; // 10, times A_ONE
    uint256 public initial_A_time; // 11
    uint256 public future_A_time; // 12

    event TokenExchange(
        address indexed buyer, int128 sold_id, uint256 tokens_sold, int128 bought_id, uint256 tokens_bought
    );
    event AddLiquidity(
        address indexed provider,
        uint256[N] token_amounts,
        uint256[N] fees,
        uint256 invariant,
        uint256 token_supply
    );
    event RemoveLiquidityOne(
        address indexed provider, uint256 token_amount, uint256 coin_amount, uint256 token_supply
    );

    error Entered();
    error Unsettled();
    error EmptyDeposit();
    error TooLittle(uint256 amount);
    error NoSuchCoin(int128 coin);

    modifier once() {
        if (entered != 0) revert Entered();
        entered = 1;
        _;
        entered = 0;
    }

    constructor(address[N] memory coins_, address token, uint256 a, uint256 fee_, uint256 adminFee) {
        coins = coins_;
        lp_token = token;
        initial_A = a * A_ONE;
        future_A = a * A_ONE;
        fee = fee_;
        admin_fee = adminFee;
    }

    function A() external view returns (uint256) {
        return A_precise() / A_ONE;
    }

    /// @notice A times A_ONE; between the two times on its way from one to the other.
    function A_precise() public view returns (uint256) {
        if (block.timestamp >= future_A_time) return future_A;
        uint256 past = block.timestamp - initial_A_time;
        uint256 whole = future_A_time - initial_A_time;
        if (future_A > initial_A) return initial_A + (future_A - initial_A) * past / whole;
        return initial_A - (initial_A - future_A) * past / whole;
    }

    /// @notice What `exchange` pays of coin `j` for `dx` of coin `i`.
    function get_dy(int128 i, int128 j, uint256 dx) external view returns (uint256) {
        (uint256 from, uint256 to) = pair(i, j);
        (uint256 gross, uint256 kept) = traded(from, to, dx);
        return unscaled(gross - kept, to);
    }

    function exchange(int128 i, int128 j, uint256 dx, uint256 min_dy) external once returns (uint256 dy) {
        (uint256 from, uint256 to) = pair(i, j);
        (uint256 gross, uint256 kept) = traded(from, to, dx);
        dy = unscaled(gross - kept, to);
        if (dy < min_dy) revert TooLittle(dy);
        balances[from] += dx;
        balances[to] = balances[to] - dy - unscaled(kept * admin_fee / FEE_ONE, to);
        coins[from].pull(msg.sender, address(this), dx);
        coins[to].send(msg.sender, dy);
        emit TokenExchange(msg.sender, i, dx, j, dy);
    }

    /// @notice Takes coins and mints shares; what changes the proportions of the pool pays a fee.
    function add_liquidity(uint256[N] calldata amounts, uint256 min_mint_amount)
        external
        once
        returns (uint256 minted)
    {
        uint256 supply = DevStableSwapToken(lp_token).totalSupply();
        uint256[N] memory old = balances;
        uint256[N] memory held = [old[0] + amounts[0], old[1] + amounts[1]];
        uint256 before = supply == 0 ? 0 : invariant(scaled(old));
        uint256 gross = invariant(scaled(held));
        if (gross <= before) revert EmptyDeposit();
        uint256[N] memory fees;
        if (supply == 0) {
            if (amounts[0] == 0 || amounts[1] == 0) revert EmptyDeposit();
            balances = held;
            minted = gross;
        } else {
            for (uint256 k = 0; k < N; ++k) {
                fees[k] = imbalanceFee() * distance(gross * old[k] / before, held[k]) / FEE_ONE;
                balances[k] = held[k] - fees[k] * admin_fee / FEE_ONE;
                held[k] -= fees[k];
            }
            minted = supply * (invariant(scaled(held)) - before) / before;
        }
        if (minted < min_mint_amount) revert TooLittle(minted);
        for (uint256 k = 0; k < N; ++k) {
            if (amounts[k] > 0) coins[k].pull(msg.sender, address(this), amounts[k]);
        }
        DevStableSwapToken(lp_token).mint(msg.sender, minted);
        emit AddLiquidity(msg.sender, amounts, fees, gross, supply + minted);
    }

    /// @notice What `remove_liquidity_one_coin` pays.
    function calc_withdraw_one_coin(uint256 burn_amount, int128 i) external view returns (uint256 dy) {
        (dy,,) = withdrawn(burn_amount, index(i));
    }

    function remove_liquidity_one_coin(uint256 burn_amount, int128 i, uint256 min_amount)
        external
        once
        returns (uint256 dy)
    {
        uint256 k = index(i);
        uint256 kept;
        uint256 supply;
        (dy, kept, supply) = withdrawn(burn_amount, k);
        if (dy < min_amount) revert TooLittle(dy);
        balances[k] -= dy + kept * admin_fee / FEE_ONE;
        DevStableSwapToken(lp_token).burnFrom(msg.sender, burn_amount);
        coins[k].send(msg.sender, dy);
        emit RemoveLiquidityOne(msg.sender, burn_amount, dy, supply - burn_amount);
    }

    /// @dev What an exchange gives before its fee, and the fee, both in 18 decimals.
    function traded(uint256 i, uint256 j, uint256 dx) private view returns (uint256 gross, uint256 kept) {
        uint256[N] memory xp = scaled(balances);
        uint256 d = invariant(xp);
        uint256 y = balanceAt(xp[i] + dx * rate(i) / ONE, d);
        gross = xp[j] - y - 1; // the unit by which the iteration may be wrong
        kept = gross * fee / FEE_ONE;
    }

    /// @dev What a withdrawal in coin `k` pays and keeps, in that coin's units, and the supply before it.
    function withdrawn(uint256 burnt, uint256 k) private view returns (uint256 dy, uint256 kept, uint256 supply) {
        supply = DevStableSwapToken(lp_token).totalSupply();
        uint256[N] memory xp = scaled(balances);
        uint256 before = invariant(xp);
        uint256 d = before - burnt * before / supply;
        uint256 free = balanceAt(xp[1 - k], d);
        uint256[N] memory reduced;
        for (uint256 n = 0; n < N; ++n) {
            uint256 beside = n == k ? xp[n] * d / before - free : xp[n] - xp[n] * d / before;
            reduced[n] = xp[n] - imbalanceFee() * beside / FEE_ONE;
        }
        dy = unscaled(reduced[k] - balanceAt(reduced[1 - k], d) - 1, k);
        kept = unscaled(xp[k] - free, k) - dy;
    }

    /// @dev D of balances in 18 decimals, by Newton's steps from their sum.
    function invariant(uint256[N] memory xp) private view returns (uint256 d) {
        uint256 sum = xp[0] + xp[1];
        if (sum == 0) return 0;
        uint256 ann = A_precise() * N;
        d = sum;
        for (uint256 round = 0; round < ROUNDS; ++round) {
            uint256 product = d * d / (xp[0] * N) * d / (xp[1] * N);
            uint256 last = d;
            d = (ann * sum / A_ONE + product * N) * d / ((ann - A_ONE) * d / A_ONE + (N + 1) * product);
            if (distance(d, last) <= 1) return d;
        }
        revert Unsettled();
    }

    /// @dev The balance of one coin at which the invariant is `d`, the other's being `x`.
    function balanceAt(uint256 x, uint256 d) private view returns (uint256 y) {
        uint256 ann = A_precise() * N;
        uint256 c = d * d / (x * N) * d * A_ONE / (ann * N);
        uint256 b = x + d * A_ONE / ann;
        y = d;
        for (uint256 round = 0; round < ROUNDS; ++round) {
            uint256 last = y;
            y = (y * y + c) / (2 * y + b - d);
            if (distance(y, last) <= 1) return y;
        }
        revert Unsettled();
    }

    /// @dev The part of the fee that is due on what moves out of proportion.
    function imbalanceFee() private view returns (uint256) {
        return fee * N / (4 * (N - 1));
    }

    function scaled(uint256[N] memory amounts) private pure returns (uint256[N] memory) {
        return [amounts[0] * RATE_0 / ONE, amounts[1] * RATE_1 / ONE];
    }

    function unscaled(uint256 amount, uint256 k) private pure returns (uint256) {
        return amount * ONE / rate(k);
    }

    function rate(uint256 k) private pure returns (uint256) {
        return k == 0 ? RATE_0 : RATE_1;
    }

    function pair(int128 i, int128 j) private pure returns (uint256, uint256) {
        if (i == j) revert NoSuchCoin(j);
        return (index(i), index(j));
    }

    function index(int128 i) private pure returns (uint256) {
        if (i != 0 && i != 1) revert NoSuchCoin(i);
        return uint256(int256(i));
    }

    function distance(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a - b : b - a;
    }
}
