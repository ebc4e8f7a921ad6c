"""Where a request's time goes, in the front and in the worker, without sockets between them."""
