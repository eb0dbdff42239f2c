"""Where live samples come from: devices, files in real time, the demo clip."""
