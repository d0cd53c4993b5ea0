"""Flash sales: stock in Redis, requests refused before they cost anything, draws that wait in a queue."""
