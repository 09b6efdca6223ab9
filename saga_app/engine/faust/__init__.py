"""What we override in Faust 0.15.3, and nothing else. Each override names the upstream issue that it answers."""
