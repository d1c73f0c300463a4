"""One job a module, and the command line that starts them."""
