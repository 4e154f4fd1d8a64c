"""Programs that run the peers quorate is measured beside."""
