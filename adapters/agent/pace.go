package agent

import (
	"time"

	"viplog/core/lease"
	"viplog/core/ledger"
)

// pace is the times that a machine runs with. When the profile changes, another machine takes its place: longer leases go to
// voters first and shorter ones to nodes first, so that no voter promises less than a node counts on.
type pace struct {
	timing   lease.Timing
	since    uint64 // the fact up to which the ledger was folded when it was chosen
	changing bool
}

// paceDelay is how much later the second kind of processes goes over to another profile: by then the first has read of it.
const paceDelay = 10 * time.Second

func paceOf(s *ledger.State) pace {
	return pace{timing: lease.TimingOf(s.Settings().Profile), since: s.Sequence()}
}

// follow calls over, in the loop, when it is time to go over to another profile.
func (p *pace) follow(s *ledger.State, l *loop, isVoter bool, over func()) {
	next := lease.TimingOf(s.Settings().Profile)
	if next == p.timing || p.changing || s.Sequence() < p.since {
		return
	}
	p.changing = true
	wait := time.Duration(0)
	if isLonger := next.Lease > p.timing.Lease; isLonger != isVoter && len(s.Live()) > 0 {
		wait = paceDelay
	}
	time.AfterFunc(wait, func() { l.post(over) })
}
