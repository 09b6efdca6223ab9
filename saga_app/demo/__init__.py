"""Real orders to try the checkout with: a year of a gift shop's invoices, and the stock that they need."""
