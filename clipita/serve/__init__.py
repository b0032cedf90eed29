"""`clipita serve`: search and encoders over HTTP, with a storefront page; needs the extra `serve`."""
