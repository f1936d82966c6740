package dataplane

import "time"

const (
	// minSync is from the end of a sync to the beginning of the next at least, and at most if something waits: kube-proxy's minSyncPeriod.
	minSync = time.Second
	// watchTakes is the most until kube-proxy knows of a status of which a controller has said that it is written.
	watchTakes = 100 * time.Millisecond
	// syncTakes is the most that a sync takes by which nothing is to be waited for any longer, or which may follow another in less than minSync.
	syncTakes = 100 * time.Millisecond
	// firstTakes is how old the first stamp of a process has to be to count as a sync: the first sync has ended by then.
	firstTakes = 5 * time.Second
)

// syncs are the last ones of an address family, by the time of this process.
type syncs struct {
	stamp  time.Time // as kube-proxy says it
	end    time.Time // of the last one
	before time.Time // the end of the one before it; zero if it is not known
	synced bool      // one of them was a sync for certain

	through uint64 // up to where they serve
}

// saw takes a stamp from the answer to a question of now; asked is when the question before it was. The first stamp of a process that may be another than
// before is no sync.
func (s *syncs) saw(is stamp, asked, now time.Time, isOther bool) {
	end := now.Add(-max(is.age, 0))
	if end.Before(asked) { // it was not there yet: the host's clock has been set
		end = asked
	}
	switch {
	case is.at.Equal(s.stamp):
	case s.stamp.IsZero() || isOther:
		*s = syncs{stamp: is.at, end: end, through: s.through}
	default:
		*s = syncs{stamp: is.at, end: end, before: s.end, synced: true, through: s.through}
	}
	s.synced = s.synced || now.Sub(s.end) >= firstTakes
}

// serve tells whether what was written when it was said at an instant is served now.
func (s *syncs) serve(said, now time.Time) bool {
	known := said.Add(watchTakes)
	switch {
	case !s.synced:
		return false
	case s.end.After(known) && s.began().After(known):
		return true
	case s.end.After(known):
		known = s.end
	}
	return now.Sub(known) >= minSync+syncTakes
}

// began is when the last sync began at the earliest; zero if that is not known. Not every kube-proxy waits for minSync: minSyncPeriod is zero in the mode
// ipvs by default, and before v1.34 two syncs could follow each other.
func (s *syncs) began() time.Time {
	switch {
	case s.before.IsZero():
		return time.Time{}
	case s.end.Sub(s.before) < minSync: // as here
		return s.before
	}
	least, likely := s.before.Add(minSync), s.end.Add(-syncTakes)
	if likely.Before(least) {
		return likely
	}
	return least
}
