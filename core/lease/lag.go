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

// awaitedBy is for everyone to be waited for up to the same fact.
func awaitedBy(version uint64, live []Incarnation) (all []Awaited) {
	for _, who := range live {
		all = append(all, Awaited{who, version})
	}
	return all
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

// await takes note of who is waited for. What the voter has not folded itself is said again when it has, or was made up.
func (v *Voter) await(now Instant, all []Awaited) {
	for _, a := range all {
		if p, known := v.peer(a.Who); known && a.Version <= v.membership.Sequence {
			p.fallBehind(a.Version, now)
		}
	}
}

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

// holdsUp tells whether an incarnation is to be refused under a set because it does not act upon the log: it is waited for since long,
// and most of the others have acted upon that fact. If most lag the log is at fault, and nobody is refused: a hung follower of the log
// must not evict the healthy. Nor is one that has read the fact refused a lease under the newest set: it may lack just that lease to
// act, and acts within a second under it. Under the set before it is refused, so that its lease there ends.
func (v *Voter) holdsUp(now Instant, p *peer, set VoterSet) bool {
	hasRead := p.folded >= p.behind && set.Version == v.membership.Now.Version
	if p.behind == 0 || hasRead || now.Since(p.behindSince) <= patience {
		return false
	}
	others, through := 0, 0
	for _, q := range v.peers {
		if q.live && q != p {
			others++
			if q.applied >= p.behind {
				through++
			}
		}
	}
	return 2*through > others
}
