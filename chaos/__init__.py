"""The laboratory: experiments on engines and clusters, from outside."""
