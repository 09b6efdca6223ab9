"""Tests and benchmark share this: workers as processes, orders, and instruments that look at topics and endings."""
