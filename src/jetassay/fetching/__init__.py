"""Fetching official weights and published datasets: resumed, verified, unpacked safely, each file whole or absent."""
