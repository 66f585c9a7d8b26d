package ui

import (
	"fmt"
	"time"
)

// Size returns a number of bytes in binary units: "512 B", "9.8 KiB", "12 MiB".
func Size(bytes int64) string {
	const units = "KMGTPE"
	n := float64(bytes)
	if n < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	unit := -1
	// 999.5 would be 1000: the next unit is shorter.
	for n >= 999.5 && unit < len(units)-1 || unit < 0 {
		n /= 1024
		unit++
	}
	if n < 9.95 {
		return fmt.Sprintf("%.1f %ciB", n, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", n, units[unit])
}

// Duration returns a short duration: "0.3s", "12s", "3m05s", "1h02m".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	s := int(d.Seconds())
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", s)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}

// wholeSeconds returns a duration that still grows, without flickering fractions.
func wholeSeconds(d time.Duration) string {
	if d = max(d, 0); d < 10*time.Second {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return Duration(d.Truncate(time.Second))
}
