"""Runs that are stopped, kept, written down and guarded: callbacks for anyone's Trainer."""
