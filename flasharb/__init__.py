"""Flash-loan arbitrage on Trio."""
