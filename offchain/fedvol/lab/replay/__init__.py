"""A tape walked snapshot by snapshot: what a federation of its desks would have known, and what others would."""
