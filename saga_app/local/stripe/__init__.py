"""A Stripe for this machine: localstripe behind a proxy that refuses what Stripe refuses, and a shop that uses it."""
