"""The HTTP door: a shop's programs place orders, wait for their endings, and ask; people's programs operate."""
