"""Studies beyond the paper: what one choice does to the result, over and over with one thing changed."""
