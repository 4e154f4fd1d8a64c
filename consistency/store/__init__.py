"""Stores as a program sees them: consistency per update, receipts, sessions, typed handles."""
