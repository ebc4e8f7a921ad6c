"""HTTP to platforms: requests that are sent again where that is safe, over connections that are kept."""
