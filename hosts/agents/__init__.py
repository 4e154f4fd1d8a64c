"""Named agents: where they live, what they are asked, and what keeps each of them in one place."""
