//go:build linux

package l2

import (
	"fmt"

	"golang.org/x/sys/unix"

	"viplog/core/lease"
)

// Boottime reads CLOCK_BOOTTIME, which counts on while the machine is suspended.
func Boottime() lease.Instant {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("l2: CLOCK_BOOTTIME cannot be read, which Linux has since 2.6.39: %v", err))
	}
	return lease.Instant(t.Nano())
}
