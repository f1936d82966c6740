package agent

import (
	"context"
	"time"

	"viplog/core/lease"
)

// voterFile is a voter's file: what its machine must not forget, and how long the leases were that it promised. A profile with shorter
// ones may take effect while a node still counts on a lease of the one before.
type voterFile struct {
	lease.VoterDisk
	Lease time.Duration // the longest that may still run; 0: it is not known
	Fresh bool          // it has come from another log, whose promises may still run
}

// promises are until when what earlier machines of a voter have promised may last.
type promises struct {
	lease time.Duration
	until lease.Instant
}

// promisesOf are those of a voter that left a file and starts at an instant.
func promisesOf(file voterFile, now lease.Instant) promises {
	longest := file.Lease
	if longest == 0 {
		longest = lease.Relaxed.Lease
	}
	return promises{lease: longest, until: lease.Timing{Lease: longest}.Promised(now)}
}

// longest is the longest lease that may run at an instant, of the earlier machines and of one that runs with a timing.
func (p promises) longest(timing lease.Timing, now lease.Instant) time.Duration {
	if now < p.until {
		return max(p.lease, timing.Lease)
	}
	return timing.Lease
}

// promiseLonger makes it durable that longer leases are promised from now on, before any is. It tries until the context ends.
func (v *Voter) promiseLonger(ctx context.Context, timing lease.Timing) error {
	if v.file.Lease == 0 || v.file.Lease >= timing.Lease {
		return nil
	}
	next := v.file
	next.Lease = timing.Lease
	for failed := 0; ; failed++ {
		err := writeDisk(v.path, next)
		if err == nil {
			v.file = next
			return nil
		}
		if failed%failuresSaid == 0 {
			v.config.Logger.Error("the disk failed", "path", v.path, "error", err)
		}
		if err := pause(ctx, retryPause); err != nil {
			return err
		}
	}
}
