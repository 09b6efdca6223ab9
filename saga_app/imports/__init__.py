"""Orders of other shop systems, mapped to ours. One module has one system: its payload, and what that means here."""
