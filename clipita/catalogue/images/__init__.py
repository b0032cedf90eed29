"""Product images: safe decoding, download with a cache, and which addresses may be fetched."""
