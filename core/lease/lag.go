package lease

import (
	"slices"
	"time"

	"viplog/core/ledger"
)

// Awaited says that others may wait for an incarnation to act upon a fact.
type Awaited struct {
	Who     Incarnation
	Version uint64
}

// AwaitedIn names who is waited for since the facts up to a version changed lists: everyone who stood in one, by the other nodes; and
// who heads one now, by clients.
func AwaitedIn(changes []ledger.ListChange, version uint64) (all []Awaited) {
	for _, change := range changes {
		for _, who := range slices.Concat(change.Before, change.After[:min(1, len(change.After))]) {
			if a := (Awaited{who, version}); !slices.Contains(all, a) {
				all = append(all, a)
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

// holdsUp tells whether an incarnation is to be refused because it does not act upon the log: it is waited for since long,
// and most of the others have acted upon that fact. If most lag the log is at fault, and nobody is
// refused: a hung follower of the log must not evict the healthy. Nor is one refused what alone lets it say that it has acted: a grant
// under the newest set. Those under the set before it are refused, so that its lease there ends.
func (v *Voter) holdsUp(now Instant, p *peer, set VoterSet) bool {
	if p.behind == 0 || now.Since(p.behindSince) <= patience || set.Version == v.membership.Now.Version && v.lacksOnlyGrants(p) {
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
