"""Whom a host reaches, and what each heal had to reconcile."""
