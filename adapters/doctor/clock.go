//go:build linux

package doctor

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// leastExact is how exact a clock has to be for the times of certificates and logs to be compared.
const leastExact = time.Second

// checkClock asks the kernel whether somebody keeps its clock right (adjtimex(2)). Leases do not depend on it: they go by CLOCK_BOOTTIME.
func checkClock(_ context.Context, h host, _ Facts) []Finding {
	const id, do = "clock/synchronised", "run chrony, ntpd or systemd-timesyncd, and let it reach its servers"
	var t unix.Timex
	state, err := h.adjtimex(&t)
	within := time.Duration(t.Maxerror) * time.Microsecond
	switch {
	case err != nil:
		return []Finding{skipped(id, "", "", "the kernel does not say: %v", err)}
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return []Finding{doubtful(id, "", do,
			"nobody keeps the clock right: certificates may seem to have ended or not to have begun, and logs do not compare; leases are not touched by it")}
	case within > leastExact:
		return []Finding{doubtful(id, "", do, "the clock may be wrong by %s", within)}
	}
	return []Finding{fine(id, "", "synchronised, within %s", within)}
}
