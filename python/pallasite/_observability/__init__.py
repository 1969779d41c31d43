"""What `middleware.observability` is made of. Nothing here is imported unless that module is."""
