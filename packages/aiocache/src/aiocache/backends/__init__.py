"""Keep the module paths of the stores."""
