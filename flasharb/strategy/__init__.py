"""From a market to trades that are worth a simulation, and to the terms of those that are worth sending."""
