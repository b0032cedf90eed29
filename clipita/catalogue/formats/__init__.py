"""The file formats of catalogues, each as rows."""
