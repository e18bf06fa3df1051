"""What makes a run fast, and what tells how fast it is; none of it changes what is trained."""
