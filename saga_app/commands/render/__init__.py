"""How results look: lines for people, a terminal's colours and width, JSON for machines."""
