"""What differs between search engines, one module per engine."""
