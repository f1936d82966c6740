package lease

import (
	"time"

	"viplog/core/event"
)

// Instant is a reading of one machine's CLOCK_BOOTTIME in nanoseconds. Those of two machines do not compare.
type Instant int64

// Never is an instant that does not come.
const Never Instant = 1<<63 - 1

// Add gives the instant that much later.
func (i Instant) Add(d time.Duration) Instant {
	if i == Never {
		return Never
	}
	return i + Instant(d)
}

// Since is the time from another instant to this one.
func (i Instant) Since(j Instant) time.Duration { return time.Duration(i - j) }

// Timing is the protocol's pace, the same on every host of a cluster.
type Timing struct {
	Heartbeat time.Duration // how often a node renews
	Lease     time.Duration // T: how long a promise lasts
}

// The profiles of the settings. Heartbeat and lease of `fast` leave room for one lost datagram and a late process.
var (
	Fast    = Timing{Heartbeat: 25 * time.Millisecond, Lease: 150 * time.Millisecond}
	Default = Timing{Heartbeat: 100 * time.Millisecond, Lease: 500 * time.Millisecond}
	Relaxed = Timing{Heartbeat: 400 * time.Millisecond, Lease: 2000 * time.Millisecond}
)

// TimingOf is the pace of a profile; one that is unknown is the default.
func TimingOf(profile string) Timing {
	switch profile {
	case event.ProfileFast:
		return Fast
	case event.ProfileRelaxed:
		return Relaxed
	}
	return Default
}

// rateError is the most that two clocks may differ in rate: one part in so many.
const rateError = 100

// held is how long a node may count on a lease from sending its renewal on, however slow its clock runs.
func (t Timing) held() time.Duration { return t.Lease - t.Lease/rateError }

// promised is how long a voter keeps a promise from receiving a renewal on, however fast its clock runs.
func (t Timing) promised() time.Duration { return t.Lease + t.Lease/rateError }

// Promised is when a promise ends that a voter with this timing has made at an instant.
func (t Timing) Promised(at Instant) Instant { return at.Add(t.promised()) }

// Suspicion bounds how long after a node's death its voters suspect it. Promises count from its last renewal, which is
// up to a heartbeat old when it dies: least is a death just before the next renewal, most one just after the last. Both take
// clocks at the worst of their rates, and neither has what links and disks need.
func (t Timing) Suspicion() (least, most time.Duration) {
	return t.Lease - t.Heartbeat - t.Heartbeat/rateError, t.promised() * rateError / (rateError - 1)
}
