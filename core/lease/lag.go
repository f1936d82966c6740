package lease

import (
	"slices"
	"time"

	"viplog/core/ledger"
)

// Replaced says that a fact replaced a list in which an incarnation stood: others may wait for it to act upon that fact.
type Replaced struct {
	Who     Incarnation
	Version uint64
}

// ReplacedIn names everyone who stood in lists that the facts up to a version replaced.
func ReplacedIn(changes []ledger.ListChange, version uint64) (all []Replaced) {
	for _, change := range changes {
		for _, who := range change.Before {
			if r := (Replaced{who, version}); !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}

// patience is how long a voter bears with a node that others may wait for.
const patience = 5 * time.Second

func (p *peer) fallBehind(version uint64, now Instant) {
	if p.newest = max(p.newest, version); p.behind == 0 && p.applied < version {
		p.behind, p.behindSince = version, now
	}
}

func (p *peer) catchUp(now Instant) {
	if p.behind == 0 || p.applied < p.behind {
		return
	}
	if p.behind, p.behindSince = 0, now; p.applied < p.newest {
		p.behind = p.newest
	}
}

// holdsUp tells whether an incarnation is to be refused because it does not act upon the log: it stood in a list that was
// replaced long ago, and most of the others have acted upon that. If most lag the log is at fault, and nobody is
// refused: a hung follower of the log must not evict the healthy. Nor is one refused that lacks only a lease under a new set: no
// grant, no lease, and so it would lack it for ever.
func (v *Voter) holdsUp(now Instant, p *peer) bool {
	if p.behind == 0 || now.Since(p.behindSince) <= patience || v.lacksOnlyGrants(p) {
		return false
	}
	live, through := 0, 0
	for _, q := range v.peers {
		if q.live {
			live++
			if q.applied >= p.behind {
				through++
			}
		}
	}
	return 2*through > live
}

// lacksOnlyGrants tells whether an incarnation has read what it is behind, and says that it has acted upon all before the newest voter set:
// more it cannot say before its lease counts under that set.
func (v *Voter) lacksOnlyGrants(p *peer) bool {
	return v.membership.Before.Version > 0 && p.folded >= p.behind && p.applied == v.membership.Now.Version-1
}
