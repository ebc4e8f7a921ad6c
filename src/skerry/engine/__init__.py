"""The embedded platform: functions of one machine, started, scaled and stopped by one process."""
