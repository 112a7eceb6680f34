"""Files in: run folders, the data dictionary, host.json, results made elsewhere."""
